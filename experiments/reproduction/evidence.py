"""What is kept of a table's runs: each run's result, saying nothing of the machine that it was made on."""

from collections.abc import Sequence
from pathlib import Path

from datamodules.storage import atomic_write
from experiments.config.compose import FOLDERS
from experiments.runs.provenance import ROOT
from experiments.runs.read import Run, read_run


def with_parents(runs: Sequence[Run]) -> list[Run]:
    """The runs, those that they began from, and those that these began from, each once."""
    found = {one.id: one for one in runs}
    waiting = list(runs)
    while waiting:
        one = waiting.pop()
        for name in map(str, one.provenance.get("parents") or ()):
            if name not in found and one.folder is not None:
                found[name] = read_run(one.folder.parent / name)
                waiting.append(found[name])
    return list(found.values())


def keep_evidence(runs: Sequence[Run], folder: Path) -> None:
    """A copy of each run's result.json, and of those that it began from, in FOLDER/runs, by the run's id, in which
    folders of this machine are called by what lies in them. What lay there of other runs is removed."""
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    kept = with_parents(runs)
    for path in (folder / "runs").glob("*.json"):
        if path.stem not in {one.id for one in kept}:
            path.unlink()
    for one in kept:
        if one.folder is not None and (one.folder / "result.json").is_file():
            text = (one.folder / "result.json").read_text(encoding="utf-8")
            atomic_write(folder / "runs" / f"{one.id}.json", _without_places(text, one))


def _without_places(text: str, one: Run) -> str:
    for name in FOLDERS:
        place = one.config.get(name)
        text = text.replace(str(place), name.removesuffix("_dir")) if place else text
    return text.replace(str(ROOT), ".")
