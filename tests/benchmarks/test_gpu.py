"""The measurements for a GPU, as far as a machine without one can tell."""

import json

import pytest
import torch

from benchmarks.loops import bare_model, competent, ours, product, random_model, ranking
from benchmarks.loops.dense import DenseHead, DenseInterest, DenseRecommender
from benchmarks.loops.in_turn import alternate
from benchmarks.loops.place import Place
from benchmarks.loops.setting import STRATEGIES, Setting, placed, quiet
from benchmarks.measuring.arithmetic import Shape
from benchmarks.rows import gpu_checks, gpu_memory
from datamodules.tiny_model import write_tiny_bert
from tests.benchmarks.pretended_gpu import lies_there, pretended_gpu
from tests.benchmarks.test_dense import batch
from tests.lightning_modules.composition import BEHAVIOURS, D, draw_vectors

CPU, CUDA = Place("cpu", quick=True), Place("cuda", quick=True)
SMALL = ranking.Size(users=64, nodes=4, items=500, dim=16)


@pytest.fixture
def gpu_here(monkeypatch):
    quiet()
    with pretended_gpu(monkeypatch):
        yield


@pytest.fixture(scope="module")
def elsewhere(data_dir, tmp_path_factory):
    """A cache of its own for all tests on real data."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture
def real_data(elsewhere, monkeypatch):
    """ml-100k."""
    monkeypatch.chdir(elsewhere)
    quiet()


def test_the_pretended_gpu_sees_what_was_forgotten(gpu_here):
    there = torch.ones(3, device="cuda")
    assert lies_there(there * 2)
    assert (there + torch.tensor(1.0)).device.type == "cuda"
    with pytest.raises(RuntimeError, match="same device"):
        there + torch.ones(3)
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()


@pytest.mark.parametrize("naive", [False, True])
def test_ranking_on_a_gpu_forgets_nothing(gpu_here, naive):
    assert ranking.loop(SMALL, naive, "cuda")(0)["users"] == 64


def test_dense_maths_on_a_gpu_forget_nothing(gpu_here):
    dense = DenseRecommender(DenseInterest(D, BEHAVIOURS, has_times=True), DenseHead(), D).to("cuda")
    loss = dense(placed(draw_vectors(), "cuda"), placed(batch(), "cuda"))
    assert lies_there(loss)


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["ours", "competent"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_step_on_a_gpu_forgets_nothing(real_data, gpu_here, strategy, loop):
    setting = CUDA.setting("ml100k", strategy, 2)
    turn = ours.loop(setting) if loop == "ours" else competent.loop(setting, "longest", again=False)
    assert turn(0)["targets"] > 0


def test_the_bare_model_has_the_shape_and_the_tokenizer(gpu_here, tmp_path, monkeypatch):
    monkeypatch.setattr(random_model, "CACHE", tmp_path)
    write_tiny_bert(tmp_path / "reader")
    folder = random_model.random_bert(Shape(depth=1, dim=64, inner=128), tmp_path / "reader")
    assert json.loads((folder / "config.json").read_text())["num_hidden_layers"] == 1
    assert (folder / "vocab.txt").read_bytes() == (tmp_path / "reader" / "vocab.txt").read_bytes()
    counted = bare_model.loop(folder, 4, 5, 10, Setting("mind", "full", 1, device="cuda"))(0)
    assert (counted["tokens"], counted["squares"]) == (20, 100)


@pytest.mark.parametrize("kind", product.KINDS)
def test_a_product_counts_its_operations_and_leaves_no_setting_behind(kind):
    before = torch.get_float32_matmul_precision()
    assert product.loop(kind, size=8, repeat=3, device="cpu")(0)["flop"] == 2 * 3 * 8**3
    assert torch.get_float32_matmul_precision() == before


def test_an_unknown_kind_of_number():
    with pytest.raises(ValueError, match="fp12"):
        product.loop("fp12", 8, 1, "cpu")


def test_loops_take_turns_each_with_its_own_kernels():
    seen = []

    def made(name, deterministic):
        def make():
            torch.use_deterministic_algorithms(deterministic)
            return lambda number: seen.append((name, number, torch.are_deterministic_algorithms_enabled())) or {"n": 1}

        return make

    records = alternate({"a": made("a", True), "b": made("b", False)}, CPU, rounds=2, name="name")
    turns = [("a", 1, True), ("b", 1, False), ("a", 2, True), ("b", 2, False)]
    assert seen == [("a", 0, True), ("b", 0, False), *turns]
    assert {name: len(record.turns) for name, record in records.items()} == {"a": 2, "b": 2}
    assert not torch.are_deterministic_algorithms_enabled()


def test_computing_again_changes_no_gradient(real_data):
    rows = gpu_checks.forward(CPU) + gpu_checks.recomputed(CPU)
    assert [row.name for row in rows] == ["gpu_forward", "gpu_recompute_fp32", "gpu_recompute_bf16"]
    assert all(row.ratio == 0 and row.reached for row in rows)


def test_a_step_that_ran_out_of_memory_keeps_its_loss(real_data):
    (row,) = gpu_memory.retried(CPU)
    whole, left = row.detail["chunks"]
    assert row.reached
    assert left < whole


def test_a_step_that_had_enough_memory_proves_nothing(real_data, monkeypatch):
    monkeypatch.setattr(gpu_memory, "LEFT", 1.0)
    with pytest.raises(RuntimeError, match="did not run out"):
        gpu_memory.retried(CPU)
