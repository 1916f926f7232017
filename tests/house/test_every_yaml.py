"""Every YAML composes with the defaults of all other seams, and binds to the signatures that it names."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from experiments.config.compose import compose

CONF = Path(__file__).resolve().parents[2] / "conf"
NOT_COMPOSED = ("published", "table")  # what papers report, and what experiments.reproduce makes
FILES = [path for path in CONF.glob("*/*.yaml") if path.parent.name not in NOT_COMPOSED]
CHOICES = sorted(path.relative_to(CONF).with_suffix("").as_posix() for path in FILES)


def test_all_folders_are_looked_at():
    assert len(CHOICES) >= 45
    assert len({choice.split("/")[0] for choice in CHOICES}) >= 17
    assert {path.name for path in CONF.glob("*.yaml")} == {"adapt.yaml", "train.yaml"}
    deeper = {path.relative_to(CONF).as_posix() for path in CONF.glob("*/*/*.yaml")}
    assert deeper == {"hydra/launcher/ray.yaml", "hydra/launcher/slurm.yaml"}


@pytest.mark.parametrize("launcher", ["ray", "slurm"])
def test_a_launcher_composes(launcher):
    if launcher == "slurm" and find_spec("submitit") is None:
        pytest.skip("needs the extra `slurm` (hydra-submitit-launcher)")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra_compose("train", [f"hydra/launcher={launcher}"], return_hydra_config=True)
    assert config.hydra.launcher._target_.startswith("hydra_plugins.")


@pytest.mark.parametrize("choice", CHOICES)
def test_it_composes(choice):
    group, name = choice.split("/")
    config = compose([f"{group}={name}"], "adapt" if group == "adaptation" else "train")
    assert config["seed"] == 0
