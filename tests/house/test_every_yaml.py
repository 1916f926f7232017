"""Every YAML composes with the defaults of all other seams, and binds to the signatures that it names."""

from pathlib import Path

import pytest

from experiments.config.compose import compose

CONF = Path(__file__).resolve().parents[2] / "conf"
NOT_COMPOSED = ("published", "table")  # what papers report, and what experiments.reproduce makes
FILES = [path for path in CONF.glob("*/*.yaml") if path.parent.name not in NOT_COMPOSED]
CHOICES = sorted(path.relative_to(CONF).with_suffix("").as_posix() for path in FILES)


def test_all_folders_are_looked_at():
    assert len(CHOICES) >= 45
    assert len({choice.split("/")[0] for choice in CHOICES}) >= 17
    assert {path.name for path in CONF.glob("*.yaml")} == {"adapt.yaml", "train.yaml"}
    assert {path.parent.relative_to(CONF).as_posix() for path in CONF.glob("*/*/*.yaml")} == {"hydra/launcher"}


@pytest.mark.parametrize("choice", CHOICES)
def test_it_composes(choice):
    group, name = choice.split("/")
    config = compose([f"{group}={name}"], "adapt" if group == "adaptation" else "train")
    assert config["seed"] == 0
