"""Tiny runs, each made once by the code that makes every run."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments import plot
from experiments.config.compose import compose
from experiments.runs.folder import RunFolder
from experiments.runs.result import done
from experiments.training import train
from tests.experiments.bench import Bench, lay_out

WORLD = (
    "datamodule.source.users=60",
    "datamodule.source.items=60",
    "datamodule.source.events=14",
    "datamodule.users_per_step=16",
    "objective.history_length=12",
    "trainer.max_epochs=1",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "logger=none",
    "callbacks.progress=null",
    "callbacks.startup_table=null",
)
RUNS = {
    "graph": ("backbone=bert_tiny", "strategy=lora", "head.prior=popularity", "interest.steps=2", "optimizer.lr=0.03"),
    "top_k": ("backbone=bert_tiny", "strategy=top_k", "strategy.k=1"),
    "attention": ("backbone=bert_tiny", "strategy=frozen", "interest=attention", "head=dot", "head.prior=learned"),
    "sasrec": ("experiment=sasrec",),
    "popularity": ("experiment=popularity",),
    "oracle": ("experiment=oracle",),
}


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """NAME -> the folder of a finished run on one small simulated world, trained when it is first asked for."""
    root = tmp_path_factory.mktemp("tiny-runs")
    made: dict[str, Path] = {}

    def folder_of(name: str) -> Path:
        if name not in made:
            made[name] = _make(root / name, [*RUNS[name], *WORLD, f"runs_dir={root}"])
        return made[name]

    return folder_of


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Bench]:
    """Processes as users start them, with a faked training."""
    made = lay_out(tmp_path_factory.mktemp("bench"), repository)
    yield made
    made.end()


@pytest.fixture
def own_cache(tiny_runs: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """NAME -> a copy of the run whose cache is tmp_path/cache and empty."""

    def copied(name: str) -> Path:
        folder = Path(shutil.copytree(tiny_runs(name), tmp_path / name))
        for file in (folder / "config.json", folder / "result.json"):
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace(str(tiny_runs(name).parent / "cache"), str(tmp_path / "cache")), "utf-8")
        return folder

    return copied


def _make(path: Path, overrides: list[str]) -> Path:
    path.mkdir()
    folder, config = RunFolder(path), compose(overrides)
    folder.write("config.json", config)
    folder.write("overrides.json", overrides)
    done(folder, train(config, path))
    return path


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """(arguments) -> the figure that experiments.plot would save."""
    made: list[Any] = []
    monkeypatch.setattr("experiments.figures.style.save", lambda figure, path: made.append(figure))

    def draw(*words: object) -> Any:
        assert plot.main([*map(str, words), "--out", "a.png"]) == 0
        return made.pop()

    return draw
