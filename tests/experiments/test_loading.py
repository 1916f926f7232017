"""Opening runs: what `load` gives, and what it refuses."""

import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from datamodules.corpus import DataError
from experiments import load

NAMES = ["graph", "attention", "sasrec", "popularity", "oracle"]


@pytest.fixture
def copy(tiny_runs, tmp_path):
    """A run's folder that a test may damage."""

    def copied(name: str) -> Path:
        return Path(shutil.copytree(tiny_runs(name), tmp_path / name))

    return copied


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_run_recommends_and_knows_its_results(name, tiny_runs):
    run = load(tiny_runs(name))
    user = run.data.prepared.users[3]
    first = run.recommend(user, k=5)
    assert [one.place for one in first] == [1, 2, 3, 4, 5]
    assert [one.score for one in first] == sorted((one.score for one in first), reverse=True)
    assert run.recommend(user, k=5) == first
    assert run.results.status == "done"
    assert 0 <= run.results.metrics["test/ndcg@10"] <= 1


def test_importing_load_leaves_torch_alone(repository):
    probe = "import sys; from experiments import load; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_loaded_model_is_the_best_checkpoint_in_eval_mode(tiny_runs):
    run = load(tiny_runs("graph"))
    kept = torch.load(tiny_runs("graph") / "best.ckpt", weights_only=True)["state_dict"]
    state = run.module.state_dict()
    assert len(kept) > 10
    assert all(torch.equal(state[name], value) for name, value in kept.items())
    assert not any(part.training for part in run.model.modules())


def test_a_checkpoint_of_another_model_is_one_clear_message(tiny_runs):
    other = tiny_runs("sasrec") / "best.ckpt"
    with pytest.raises(ValueError, match=r"best\.ckpt: the checkpoint is of another model: it lacks"):
        load(tiny_runs("graph"), other)


def test_a_damaged_or_absent_checkpoint_is_named(copy):
    folder = copy("sasrec")
    whole = (folder / "best.ckpt").read_bytes()
    for part in (b"", b"nothing", whole[: len(whole) // 2]):
        (folder / "best.ckpt").write_bytes(part)
        with pytest.raises(DataError, match=r"best\.ckpt: is no checkpoint of a run, or was cut short"):
            load(folder)
    (folder / "best.ckpt").unlink()
    with pytest.raises(DataError, match=r"best\.ckpt: no such checkpoint; the run is done"):
        load(folder)


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(DataError, match="no run folder"):
        load(tmp_path)


def test_a_config_without_the_setting_of_kept_states_is_loaded(copy):
    folder = copy("graph")
    expected = load(folder).recommend("u3")
    for name in ("config.json", "result.json"):
        text = (folder / name).read_text()
        assert '"frozen_states"' in text
        (folder / name).write_text(text.replace('"frozen_states"', '"rest"'))
    assert load(folder).recommend("u3") == expected


def test_to_answer_once_nothing_is_kept_of_single_tokens(own_cache, tiny_runs, tmp_path):
    """Their training did, which reads them in every epoch."""
    trained, moved = load(tiny_runs("top_k")), load(own_cache("top_k"))
    assert trained.data.states is not None
    assert moved.data.states is None
    assert moved.recommend("u3") == trained.recommend("u3")
    assert not (tmp_path / "cache" / "states").exists()


def test_data_that_changed_since_are_refused(copy):
    folder = copy("popularity")
    result = folder / "result.json"
    text = result.read_text()
    result.write_text(text.replace('"finished":', '"data_digest": "0123", "finished":'))
    with pytest.raises(DataError, match="the run saw data of digest 0123"):
        load(folder)


def test_exactly_one_way_of_saying_who(tiny_runs):
    run = load(tiny_runs("popularity"))
    for given in ({}, {"user": "u0", "items": ["i1"]}, {"items": ["i1"], "titles": ["x"]}):
        with pytest.raises(ValueError, match="exactly one of user, items, titles"):
            run.recommend(**given)


def test_unknown_items_are_left_out_with_a_warning(tiny_runs):
    run = load(tiny_runs("sasrec"))
    keys = run.data.prepared.item_keys[:3]
    with pytest.warns(UserWarning, match="left out of the history, not in simulator: nix, nox"):
        found = run.recommend(items=["nix", *keys, "nox"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run.recommend(items=keys) == found


def test_what_a_closed_form_cannot_know(tiny_runs):
    popularity, oracle = load(tiny_runs("popularity")), load(tiny_runs("oracle"))
    with pytest.raises(ValueError, match="no model with interests: PopularityScorer is closed-form"):
        popularity.explain(popularity.data.prepared.users[0])
    with pytest.raises(ValueError, match="the oracle reads the interests that a simulator drew from"):
        oracle.recommend(items=oracle.data.prepared.item_keys[:2])
