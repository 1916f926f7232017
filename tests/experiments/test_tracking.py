"""What an offline W&B run holds, read back from its .wandb file; and servers that refuse or never answer."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing

import pytest
import torch

from experiments.config.compose import compose
from experiments.config.leaves import flatten
from experiments.runs.folder import RunFolder
from experiments.runs.read import Run, read_run
from experiments.runs.result import done
from experiments.tracking.sender import is_sent
from experiments.tracking.upload import files_of
from experiments.tracking.wandb_run import row_of
from experiments.training import train
from tests.experiments.bench import PATIENCE, Bench
from tests.experiments.conftest import WORLD
from tests.experiments.wandb_file import wandb_files
from tests.experiments.wandb_server import serving

LOGGED = [word for word in WORLD if word != "logger=none"]
LORA = (
    "backbone=bert_tiny",
    "strategy=lora",
    *LOGGED,
    "logger=wandb",
    "name=group-of-runs",
    "+logger.wandb.tags=[draft]",
    "trainer.log_every_n_steps=1",
)


def made(root, words, name):
    """The folder of a run that trained in this process, and what train() returned."""
    folder, config = RunFolder(root / name), compose([*words, f"runs_dir={root}"])
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write("config.json", config)
    folder.write("overrides.json", list(words))
    folder.write("provenance.json", {"commit": "abc", "choices": {"datamodule": "simulator"}})
    outcome = train(config, folder.path)
    done(folder, outcome)
    return folder, config, outcome


@pytest.fixture(scope="module")
def lora(tmp_path_factory):
    root = tmp_path_factory.mktemp("wandb")
    return made(root, LORA, "simulator-bert_tiny-lora-graph-s0-0123456789ab")


@pytest.fixture(scope="module")
def file(lora):
    (found,) = wandb_files(lora[0].path)
    return found


def test_the_run_is_named_grouped_and_tagged(lora, file):
    run = file.run
    assert (run.run_id, run.display_name, run.run_group, run.job_type) == (
        lora[0].id,
        lora[0].id,
        "group-of-runs",
        "train",
    )
    assert run.project == "interestlab"
    assert list(run.tags) == ["simulator", "bert_tiny", "lora", "graph", "draft"]
    assert file.exit_code == 0


def test_it_holds_the_whole_configuration(lora, file):
    wanted, found = flatten(json.loads(json.dumps(lora[1], default=str))), flatten(file.config)
    assert len(wanted) > 60
    assert {key: found[key] for key in wanted} == wanted
    assert found["provenance.commit"] == "abc"


def test_it_holds_every_metric_and_cost(lora, file):
    _, _, outcome = lora
    costs = {f"cost/{name}": value for name, value in outcome["cost"].items() if value is not None}
    wanted = outcome["metrics"] | costs
    assert len(outcome["metrics"]) > 20
    assert len(costs) > 8
    assert {key: file.summary[key] for key in wanted} == pytest.approx(wanted)


def test_it_holds_the_curves(file):
    logged = file.logged
    for key in ("train/loss", "valid/ndcg@10", "graph/cut_share", "trainer/global_step", "epoch"):
        assert logged[key], key
    assert any(key.startswith("lr-") for key in logged)


def test_recommendations_come_with_their_reasons(lora, file):
    table = file.table("sample/recommendations")
    assert table["columns"] == ["user", "place", "item", "title", "score", "because"]
    assert len({row[0] for row in table["data"]}) == 8
    assert [row[1] for row in table["data"][:10]] == list(range(1, 11))
    assert all(" +" in row[5] or " -" in row[5] for row in table["data"])


def test_the_interest_graph_is_a_table_and_a_picture(file):
    interests, edges = file.table("sample/interests"), file.table("sample/edges")
    assert len({row[0] for row in interests["data"]}) == 8
    assert edges["columns"] == ["user", "earlier", "later", "cosine"]
    assert edges["data"]
    assert all(row[3] > 0 for row in edges["data"])
    assert file.logged["sample/graphs"][-1]["count"] == 8


def test_the_sample_is_what_recommend_says(lora, file):
    """The lists of the table are those that the program gives for the same users of the loaded run."""
    from experiments.loading import load

    folder, _, _ = lora
    loaded, table = load(folder.path), file.table("sample/recommendations")
    user = table["data"][0][0]
    assert [row[2] for row in table["data"][:10]] == [one.item for one in loaded.recommend(user, k=10)]


def test_lineage_names_what_was_used_and_what_was_made(lora, file):
    *tables, used, model = file.artifacts
    assert {table.type for table in tables} == {"run_table"}
    assert (used.type, used.use_after_commit) == ("dataset", True)
    assert json.loads(used.metadata)["digest"]
    assert (model.type, model.name, set(model.aliases)) == ("model", lora[0].id, {"latest", "best"})
    files = {one.path: one for one in model.manifest.contents}
    assert set(files) == {"best.ckpt", "config.json"}
    assert files["best.ckpt"].size == (lora[0].path / "best.ckpt").stat().st_size


def test_runs_that_differ_in_their_seed_alone_share_a_row(lora):
    _, config, _ = lora

    def row(*words, **circumstances):
        made = compose([*LORA, f"runs_dir={config['runs_dir']}", *words])
        run = f"lora-graph-s{made['seed']}-0123456789ab"
        return row_of(Run(run, "unfinished", None, words, made, provenance=circumstances))

    few = ("few_shot=share", "datamodule.few_shot.draw=${seed}")
    assert row() == row("seed=3") == row("seed=3", "tokens_per_chunk=4096")
    assert row(*few) == row(*few, "seed=3")
    others = [row(*few), row("head.tau=0.3"), row("datamodule.source.seed=7"), row("parents=[some-run]")]
    others += [row(precision="bf16-mixed"), row(pretrained_digest={"backbone.path": "0123"})]
    assert len({row(), *others}) == 1 + len(others)


def test_a_resumed_run_keeps_its_id(tmp_path):
    """Two attempts, one run: two files of one id."""
    name = "simulator-popularity-s0-0123456789ab"
    words = ("experiment=popularity", *LOGGED, "logger=wandb")
    for _ in range(2):
        made(tmp_path, words, name)
        time.sleep(1.1)  # W&B names its folders by the second
    files = wandb_files(tmp_path / name)
    assert [one.run.run_id for one in files] == [name, name]
    assert files[0].run.job_type == "score"
    assert set(files[0].logged) >= {"sample/recommendations"}
    assert "sample/interests" not in files[0].logged
    assert [artifact.type for artifact in files[0].artifacts] == ["run_table", "dataset"]


def test_asking_after_a_trainer_is_asking_in_evaluation(tiny_runs):
    """`follow` leaves a model that was put back to training as it ranked: same scores, no dropout."""
    from experiments.loading import load

    run = load(tiny_runs("graph"))
    block = next(iter(run.data.blocks("test")))
    before = run.scorer.scores(block, 0, 10)
    run.model.train()
    run.scorer.follow()
    assert torch.equal(run.scorer.scores(block, 0, 10), before)


@pytest.fixture(params=["refuses", "never answers"])
def server(request):
    """An address: nobody listens there, or somebody takes the call and says nothing."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if request.param == "never answers":
            listener.listen(64)
            yield address
            return
    yield address


@pytest.fixture
def trained_by_program(tmp_path):
    """(words, where W&B is) -> the folder of a run made by the program, with a follower beside it; who was started
    along with it is ended at last."""
    bench = Bench(tmp_path, {})

    def made_by(words, server):
        mark = {"INTERESTLAB_TEST": str(tmp_path)}
        ended = subprocess.run(
            [sys.executable, "-m", "experiments.train", *words, "logger.offline=false", f"runs_dir={tmp_path}"],
            env=os.environ | server | mark,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ended.returncode == 0, ended.stderr
        return next(tmp_path.glob("simulator-*"))

    yield made_by
    bench.end()


@pytest.mark.slow
def test_a_server_that_is_not_there_changes_nothing(server, lora, trained_by_program):
    """The run ends by itself with the result of the offline one, to the last bit; what was not sent can be sent."""
    folder = trained_by_program(LORA, {"WANDB_BASE_URL": server, "WANDB_API_KEY": "0" * 40})
    assert read_run(folder).metrics == lora[2]["metrics"]
    (found,) = wandb_files(folder)
    assert found.exit_code == 0
    (kept,) = files_of(folder)
    assert not is_sent(kept)


QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
SAID_SECONDS = 6.0
"""Until W&B's command has said what it sends: while it speaks, the pipe that breaks would end it too."""


@pytest.mark.slow
@pytest.mark.parametrize("server", ["never answers"], indirect=True)
@pytest.mark.parametrize("follows", [True, False])
def test_who_sends_goes_with_whoever_started_it(server, lora, tmp_path, follows):
    """At a server that never answers W&B's command would wait on, and its service with it."""
    folder = tmp_path / lora[0].id
    shutil.copytree(lora[0].path, folder)
    mark = {"INTERESTLAB_TEST": str(tmp_path), "WANDB_BASE_URL": server, "WANDB_API_KEY": "0" * 40}
    words = ["--follow", str(folder)] if follows else [str(folder)]
    bench = Bench(tmp_path, os.environ | mark)
    try:
        uploader = bench.start(*words, module="upload", cwd=None, **QUIET)
        assert _until(lambda: any("wandb-core" in line for line in bench.processes().values()))
        assert uploader.poll() is None
        time.sleep(SAID_SECONDS)
        uploader.kill()
        uploader.wait(PATIENCE)
        assert _until(lambda: bench.processes() == {}, 15), bench.processes()
    finally:
        bench.end()


def _until(reached, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not (done := reached()) and time.monotonic() < end:
        time.sleep(0.1)
    return done


@pytest.mark.slow
def test_a_run_is_sent_to_its_end_though_its_own_wandb_ends_with_it(trained_by_program):
    with serving() as server:
        folder = trained_by_program(("experiment=popularity", *LOGGED, "logger=wandb"), server.environment)
        over = (folder / "result.json").stat().st_mtime
        (kept,) = files_of(folder)
        end = time.monotonic() + PATIENCE
        while not is_sent(kept):
            assert time.monotonic() < end, (folder / "wandb" / "upload.log").read_text()
            time.sleep(0.2)
    assert max(server.requests)[0] > over
    assert any(path.endswith("/file_stream") for _, path in server.requests)
