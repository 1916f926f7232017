"""Which experiments' YAMLs a study wrote, so that it takes the place of its own ones and of no others."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from datamodules.storage import atomic_write
from experiments.config.check import ConfigError

FILE = "written.json"


def require_own(study: Path, folder: Path, name: str) -> None:
    """Raise `ConfigError` where FOLDER/NAME.yaml, or one of NAME-1.yaml and so on, was not written by this study."""
    own = _own(study)
    numbered = re.compile(rf"{re.escape(name)}(-\d+)?")
    others = [
        path for path in sorted(folder.glob("*.yaml")) if numbered.fullmatch(path.stem) and path.absolute() not in own
    ]
    if others:
        raise ConfigError(
            [f"--name: {others[0]} is there and no search of that name here wrote it; remove it, or give another name"]
        )


def replace_own(study: Path, texts: Mapping[Path, str]) -> list[Path]:
    """Write the files, and remove those that the study wrote before and that are no more among them."""
    paths = {path.absolute(): text for path, text in texts.items()}
    before = _own(study)
    atomic_write(study / FILE, json.dumps(sorted(map(str, {*before, *paths})), indent=1) + "\n")
    for path, text in paths.items():
        atomic_write(path, text)
    for path in before - paths.keys():
        path.unlink(missing_ok=True)
    atomic_write(study / FILE, json.dumps(sorted(map(str, paths)), indent=1) + "\n")
    return list(texts)


def _own(study: Path) -> set[Path]:
    path = study / FILE
    return {Path(one) for one in json.loads(path.read_text(encoding="utf-8"))} if path.exists() else set()
