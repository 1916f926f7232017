"""What loggers are told at the end, in every process of a distributed run, and what a run owes to none of them."""

import time

import pytest
from pytorch_lightning.loggers.wandb import WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from experiments import training
from experiments.config.compose import compose
from experiments.reporting import build_loggers, conclude
from experiments.runs.read import read_run
from experiments.tracking import harmless
from experiments.training import train
from tests.experiments.bench import PATIENCE
from tests.experiments.conftest import RUNS, WORLD
from tests.experiments.wandb_file import wandb_files

WANDB, SASREC = (
    [word for word in (*RUNS[name], *WORLD) if word != "logger=none"] + ["logger=wandb"]
    for name in ("popularity", "sasrec")
)


@pytest.fixture(autouse=True)
def _heard(monkeypatch):
    """import-linter, which another test runs in this process, disables every logger that there is."""
    monkeypatch.setattr(harmless.log, "disabled", False)


def test_another_process_than_the_first_concludes_nothing(tmp_path, monkeypatch):
    """Its W&B is a dummy that has neither configuration nor summary; an exception there would kill the whole run."""
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    node = {"_target_": "pytorch_lightning.loggers.wandb.WandbLogger", "project": "p", "offline": True}
    config = {"logger": {"wandb": node}, "monitor": "valid/ndcg@10"}
    loggers = build_loggers(config, tmp_path)
    assert [type(logger) for logger in loggers] == [WandbLogger]
    with pytest.raises(AttributeError):
        loggers[0].experiment.config.update({})
    conclude(loggers, config, tmp_path, {"test/hr@10": 0.5})


@pytest.mark.parametrize(
    "part",
    [
        "experiments.reporting.wandb_run.describe",
        "experiments.reporting.Sample.of",
        "experiments.tracking.wandb_run.log_used",
        "experiments.tracking.wandb_run.log_made",
    ],
)
def test_what_fails_while_it_is_logged_is_told_with_its_traceback_and_leaves_the_result(
    part, tiny_runs, tmp_path, monkeypatch, caplog
):
    def broken(*_, **__):
        raise KeyError("a table without a title")

    monkeypatch.setattr(part, broken)
    folder = tmp_path / "run"
    folder.mkdir()
    result = train(compose([*WANDB, f"runs_dir={tmp_path}"]), folder)
    assert result["metrics"] == read_run(tiny_runs("popularity")).metrics
    (record,) = [record for record in caplog.records if record.name == "experiments.tracking.harmless"]
    assert "KeyError: 'a table without a title'" in record.message
    assert "in broken" in caplog.text
    file = _ended(folder)
    assert file.exit_code == 0
    assert file.summary["test/ndcg@10"] == result["metrics"]["test/ndcg@10"]


def _warned(told):
    return [str(warning.message) for warning in told if " failed, so that the run goes on" in str(warning.message)]


def test_a_run_whose_wandb_does_not_begin_ends_with_the_same_result_and_one_warning(
    tiny_runs, tmp_path, monkeypatch, caplog
):
    asked, followed = [], []

    def broken(**_):
        asked.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wandb.init", broken)
    monkeypatch.setattr("experiments.reporting.follow", followed.append)
    with pytest.warns(UserWarning, match="Weights & Biases failed, .*: .Errno 28. No space left") as told:
        result = train(compose([*SASREC, "logger.offline=false", f"runs_dir={tmp_path}"]), tmp_path)
    assert result["metrics"] == read_run(tiny_runs("sasrec")).metrics
    assert (len(_warned(told)), len(asked), followed) == (1, 1, [])
    assert "was not logged" not in caplog.text


def test_a_run_whose_wandb_dies_in_the_middle_ends_with_the_same_result_and_one_warning(
    tiny_runs, tmp_path, monkeypatch, caplog
):
    asked = []

    def broken(*_, **__):
        asked.append(1)
        raise ConnectionResetError("Connection lost")

    monkeypatch.setattr("wandb.Run.log", broken)
    with pytest.warns(UserWarning, match="Weights & Biases failed, .*: Connection lost") as told:
        result = train(compose([*SASREC, f"runs_dir={tmp_path}"]), tmp_path)
    assert result["metrics"] == read_run(tiny_runs("sasrec")).metrics
    assert (len(_warned(told)), len(asked)) == (1, 1)
    assert "was not logged" not in caplog.text
    assert _ended(tmp_path).exit_code == 1  # its record is not whole


def _ended(folder):
    """What W&B wrote; its service writes the end a moment after the run is told that all is over."""
    end = time.monotonic() + PATIENCE
    while (file := wandb_files(folder)[0]).exit_code is None:
        assert time.monotonic() < end, "it never ended"
        time.sleep(0.1)
    return file


def test_a_logger_that_fails_at_the_end_keeps_no_other_from_it(tmp_path, monkeypatch, caplog):
    loggers = build_loggers(compose([*WANDB[:-1], "logger=csv", f"runs_dir={tmp_path}"]), tmp_path)
    told = []
    monkeypatch.setattr(type(loggers[0]), "log_metrics", lambda *given: told.append(given) or 1 / 0)
    conclude(loggers * 2, {}, tmp_path, {"test/hr@10": 0.5})
    assert len(told) == 2
    assert caplog.text.count("ZeroDivisionError: division by zero") >= 2


def test_a_result_is_kept_before_loggers_are_told_of_it_and_that_is_not_in_its_seconds(tmp_path, monkeypatch):
    begun, after = time.perf_counter(), {}
    for name in ("show_sample", "conclude"):
        monkeypatch.setattr(training, name, lambda *_, name=name: after.update({name: time.perf_counter() - begun}))
    config = compose([*RUNS["popularity"], *WORLD, f"runs_dir={tmp_path}"])
    made = train(config, tmp_path, lambda result: after.update(kept=time.perf_counter() - begun, result=result))
    assert made["cost"]["seconds"] <= after["kept"] <= after["show_sample"] <= after["conclude"]
    assert made == after["result"]
