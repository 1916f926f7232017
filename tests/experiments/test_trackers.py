"""TensorBoard and MLflow: what a run and its resumption leave there, read back from the files."""

import csv
import os
import socket
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from experiments.config import trackers
from experiments.config.check import ConfigError
from experiments.config.compose import compose
from experiments.config.leaves import flatten
from experiments.config.trackers import EXTRAS, require_trackers
from experiments.mlflow_logger import PATIENCE
from experiments.reporting import build_loggers, conclude
from experiments.runs.folder import RunFolder
from experiments.runs.read import read_run
from experiments.training import train
from tests.experiments.conftest import RUNS, WORLD

NUMBERS = {"test/ndcg@10": 0.25, "valid/hr@5": 0.5, "cost/seconds": 2.0}
TINY = (
    "experiment=sasrec",
    "datamodule.source.users=40",
    "trainer.max_epochs=1",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "trainer.log_every_n_steps=1",
    "callbacks.progress=null",
    "callbacks.startup_table=null",
)


def _needs(name: str) -> None:
    missing = [package for package in EXTRAS[name] if find_spec(package) is None]
    if missing:
        pytest.skip(f"needs the extra `{name}`: {', '.join(missing)} not installed")


def _config(name: str, folder: Path) -> dict:
    return compose([*TINY, f"logger={name}", f"runs_dir={folder.parent}"])


def _once(config: dict, folder: Path, step: int = 3, **changed: str) -> None:
    loggers = build_loggers(config, folder)
    assert len(loggers) == 1
    loggers[0].log_metrics({"train/loss": 1.0 / step}, step)
    conclude(loggers, config | changed, folder, NUMBERS, step)


def _twice(config: dict, folder: Path) -> None:
    """A run that ends, and one that goes on in its folder with another seat for its files."""
    _once(config, folder)
    _once(config, folder, 5, data_dir="elsewhere")


def _events(folder: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder / "tensorboard")).Reload()


def test_tensorboard_keeps_curves_configuration_and_results_of_both_attempts_in_one_folder(tmp_path):
    _needs("tensorboard")
    folder = tmp_path / "run"
    config = _config("tensorboard", folder)
    _twice(config, folder)
    events = _events(folder)
    assert sorted(events.Tags()["scalars"]) == sorted(["train/loss", *NUMBERS])
    assert [(event.step, round(event.value, 3)) for event in events.Scalars("train/loss")] == [(3, 0.333), (5, 0.2)]
    assert {tag: (events.Scalars(tag)[-1].step, events.Scalars(tag)[-1].value) for tag in NUMBERS} == {
        tag: (5, value) for tag, value in NUMBERS.items()
    }
    plugin = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert [key for key in flatten(config) if key.encode() not in plugin] == []
    assert sorted(path.name for path in (folder / "tensorboard").iterdir() if path.is_dir()) == []


def test_a_tensorboard_that_finds_no_room_is_told_once_and_asked_no_more(tmp_path, monkeypatch):
    _needs("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    asked = []

    def full(*_, **__):
        asked.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "add_scalar", full)
    with pytest.warns(UserWarning, match="TensorBoard failed, so that the run goes on without it") as told:
        _once(_config("tensorboard", tmp_path / "run"), tmp_path / "run")
    assert (len(asked), len(told)) == (1, 1)


def test_a_password_of_mlflows_server_is_in_no_configuration_and_no_warning(tmp_path, monkeypatch):
    address = "https://me:tok@en@mlflow.example/path"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    asked = []

    def refused(_, experiment_name, run_name, tracking_uri):
        asked.append((experiment_name, run_name, tracking_uri))
        raise OSError(f"API request to {tracking_uri} failed")

    monkeypatch.setattr("pytorch_lightning.loggers.mlflow.MLFlowLogger.__init__", refused)
    config = _config("mlflow", tmp_path / "run")
    assert "mlflow.example" not in str(config)
    with pytest.warns(UserWarning, match="MLflow failed, .*: API request to https://mlflow.example/path failed"):
        loggers = build_loggers(config, tmp_path / "run")
    assert asked == [("interestlab", "run", address)]
    conclude(loggers, config, tmp_path / "run", NUMBERS)


@pytest.mark.parametrize("variable", ["", None])
def test_mlflows_database_lies_beside_the_runs_where_nobody_names_a_place(tmp_path, monkeypatch, variable):
    asked = []
    monkeypatch.setattr(
        "pytorch_lightning.loggers.mlflow.MLFlowLogger.__init__", lambda *given: asked.append(given[-1])
    )
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if variable is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", variable)
    build_loggers(_config("mlflow", tmp_path / "run"), tmp_path / "run")
    assert asked == [f"sqlite:///{tmp_path}/mlflow.db?timeout=60"]


def _store(tmp_path: Path):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("interestlab")
    return client, client.search_runs([experiment.experiment_id])


@pytest.mark.slow
def test_mlflow_keeps_both_attempts_in_one_run_of_the_shared_database(tmp_path, monkeypatch):
    _needs("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run"
    folder.mkdir()
    config = _config("mlflow", folder) | {"long": "x" * 7000}
    _twice(config, folder)
    client, runs = _store(tmp_path)
    assert [run.info.run_name for run in runs] == ["run"]
    run = runs[0]
    assert run.info.status == "FINISHED"
    assert (folder / "mlflow_run.txt").read_text().strip() == run.info.run_id
    assert run.data.metrics == {name.replace("@", "_at_"): value for name, value in NUMBERS.items()} | {
        "train/loss": 0.2
    }
    curve = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(point.step, round(point.value, 3)) for point in curve] == [(3, 0.333), (5, 0.2)]
    assert run.data.params == {key: str(value)[:6000] for key, value in flatten(config).items()}
    assert len(run.data.params["long"]) == 6000
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mlflow.db.lock", "mlflow.db", "run"]


def test_a_run_that_mlflow_lost_begins_anew_there(tmp_path, monkeypatch):
    _needs("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "mlflow_run.txt").write_text("0123456789abcdef0123456789abcdef\n")
    config = _config("mlflow", folder)
    conclude(build_loggers(config, folder), config, folder, NUMBERS)
    _, runs = _store(tmp_path)
    assert len(runs) == 1
    assert (folder / "mlflow_run.txt").read_text().strip() == runs[0].info.run_id


def _without_mlflow(tmp_path: Path, name: str, address: str) -> dict:
    """What one of `tiny_runs` gives whose MLflow is at an address where there is none."""
    words = [*RUNS[name], *WORLD, f"runs_dir={tmp_path}", "logger=mlflow"]
    words.remove("logger=none")
    with pytest.warns(UserWarning, match="MLflow failed, so that the run goes on without it: API request") as told:
        result = train(compose([*words, f"logger.mlflow.tracking_uri={address}"]), tmp_path)
    assert len([warning for warning in told if "MLflow" in str(warning.message)]) == 1
    return result


def test_a_run_whose_mlflow_refuses_connections_ends_with_the_same_result(tmp_path, tiny_runs, monkeypatch):
    _needs("mlflow")
    for name in PATIENCE:
        monkeypatch.delenv(name, raising=False)
    result = _without_mlflow(tmp_path, "sasrec", "http://127.0.0.1:9")
    assert result["metrics"] == read_run(tiny_runs("sasrec")).metrics
    assert {int(os.environ[name]) for name in PATIENCE} == {1, 10}


def test_an_mlflow_that_never_answers_is_asked_no_more_after_the_first_time(tmp_path, tiny_runs, monkeypatch):
    """What a person set of the client's patience stays."""
    _needs("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        result = _without_mlflow(tmp_path, "popularity", f"http://127.0.0.1:{listener.getsockname()[1]}")
        listener.setblocking(False)
        calls = 0
        with suppress(BlockingIOError):
            while True:
                listener.accept()[0].close()
                calls += 1
    assert result["metrics"] == read_run(tiny_runs("popularity")).metrics
    assert calls == 1


def test_a_trained_run_outlives_an_mlflow_that_fails_in_the_middle(tmp_path, monkeypatch):
    _needs("mlflow")
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "run"
    folder.mkdir()
    config, asked = _config("mlflow", folder), []

    def gone(*given, **_):
        asked.append(given)
        raise MlflowException("the server went away")

    loggers = build_loggers(config, folder)
    loggers[0].log_metrics({"train/loss": 1.0}, 1)
    monkeypatch.setattr(MlflowClient, "log_batch", gone)
    with pytest.warns(UserWarning, match="MLflow failed, .*: the server went away"):
        loggers[0].log_metrics({"train/loss": 0.5}, 2)
    conclude(loggers, config, folder, NUMBERS)
    assert len(asked) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXTRAS))
def test_a_whole_run_tells_its_curves_and_every_result(tmp_path, monkeypatch, name):
    _needs(name)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "run"
    folder.mkdir()
    config = _config(name, folder)
    RunFolder(folder).write("config.json", config)
    result = train(config, folder)
    wanted = {"train/loss", *result["metrics"], *(f"cost/{key}" for key, v in result["cost"].items() if v is not None)}
    if name == "tensorboard":
        found = {tag: _events(folder).Scalars(tag)[-1].value for tag in _events(folder).Tags()["scalars"]}
    else:
        found = {key.replace("_at_", "@"): value for key, value in _store(tmp_path)[1][0].data.metrics.items()}
    assert wanted - set(found) == set()
    assert {key: found[key] for key in result["metrics"]} == pytest.approx(result["metrics"], rel=1e-6)


@pytest.mark.parametrize("name", sorted(EXTRAS))
def test_a_logger_without_its_package_is_refused_in_a_line_that_names_the_extra(monkeypatch, name):
    monkeypatch.setattr(trackers, "find_spec", lambda package: None)
    with pytest.raises(ConfigError) as caught:
        require_trackers({"logger": {name: {"_target_": "whatever"}, "csv": {"_target_": "whatever"}}})
    assert len(caught.value.faults) == 1
    assert f'pip install -e ".[{name}]"' in caught.value.faults[0]
    require_trackers({"logger": {name: None}})


def test_every_extra_is_one_of_the_project_and_has_a_logger(repository):
    import tomllib

    extras = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert len(EXTRAS) == 2
    for name, packages in EXTRAS.items():
        assert (repository / f"conf/logger/{name}.yaml").is_file()
        installed = [word.split(">=")[0] for word in extras[name]]
        assert [package for package in packages if not any(package in word for word in installed)] == []


def test_the_table_has_settings_and_results_too(tmp_path):
    folder = tmp_path / "run"
    config = _config("csv", folder)
    _twice(config, folder)
    versions = sorted((folder / "csv").iterdir())
    assert [path.name for path in versions] == ["version_0", "version_1"]
    for version, step in zip(versions, (3, 5), strict=True):
        rows = list(csv.DictReader((version / "metrics.csv").read_text().splitlines()))
        found = {name: float(row[name]) for row in rows for name in NUMBERS if row.get(name)}
        assert (found, rows[-1]["step"]) == (NUMBERS, str(step))
        assert yaml.safe_load((version / "hparams.yaml").read_text())["optimizer"]["lr"] == config["optimizer"]["lr"]
