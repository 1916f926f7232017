"""A new part is one Python file and one YAML: nothing else is edited, inside the repository or outside of it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOY = Path(__file__).parent / "toy"
# The seam's package, the file's stem, and the folder of the YAML.
PARTS = [
    ("datamodules.sources", "letters", "datamodule"),
    ("lightning_modules.strategies", "bias", "strategy"),
    ("lightning_modules.heads", "nearest", "head"),
]

PROBE = """
import json, sys
from experiments.config.compose import compose
from experiments.wiring import build_data, build_module

config = compose(sys.argv[1:])
data = build_data(config)
data.prepare_data()
module = build_module(config, data)
batch = next(iter(data.train_dataloader()))
module.model.calibrate(data.items(), data.log.n_items)
loss = module.model.loss(batch, module.loss)
trains = [name for name, p in module.model.encoder.backbone.pretrained.named_parameters() if p.requires_grad]
print(json.dumps({
    "source": vars(data.source), "head": vars(module.model.head)["scale"], "items": module.model.head.n_items,
    "loss": float(loss), "trains": sorted({name.split(".")[-1] for name in trains}),
}))
"""


def _write_parts(conf: Path, code: Path, package: str | None) -> None:
    """One Python file and one YAML a part; `package` instead of the seams' own folders where it is given."""
    for seam, stem, group in PARTS:
        folder = code / (package or seam).replace(".", "/")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOY / f"{stem}.py", folder)
        (conf / group).mkdir(parents=True, exist_ok=True)
        text = (TOY / f"{stem}.yaml").read_text("utf-8").replace("PACKAGE", package or seam)
        (conf / group / f"{stem}.yaml").write_text(text, encoding="utf-8")


def _built(root: Path, path: list[Path], *overrides: str) -> dict:
    """What a process that finds its code under `path` builds from the toy parts."""
    words = ["datamodule=letters", "strategy=bias", "head=nearest", "backbone=bert_tiny", "interest=mean"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, "-c", PROBE, *words, f"runs_dir={root / 'runs'}", *overrides]
    done = subprocess.run(command, cwd=path[0], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _require_toys(built: dict) -> None:
    assert built["source"] == {"users": 15}
    assert built["head"] == 0.5
    assert built["items"] == 10
    assert built["trains"] == ["bias"]
    assert built["loss"] > 0


@pytest.mark.slow
def test_a_part_inside_the_repository(repository, tmp_path):
    for folder in ("conf", "datamodules", "lightning_modules", "experiments"):
        shutil.copytree(repository / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    _write_parts(tmp_path / "conf", tmp_path, package=None)
    _require_toys(_built(tmp_path, [tmp_path]))


def test_a_part_outside_the_repository(repository, tmp_path):
    _write_parts(tmp_path / "conf", tmp_path, package="plugin_of_mine")
    search = f"hydra.searchpath=[file://{tmp_path / 'conf'}]"
    _require_toys(_built(tmp_path, [repository, tmp_path], search))


@pytest.mark.parametrize("part", PARTS)
def test_the_toy_is_no_part_of_the_product(part, repository):
    """Else the tests above would show nothing."""
    seam, stem, group = part
    assert not (repository / seam.replace(".", "/") / f"{stem}.py").exists()
    assert not (repository / "conf" / group / f"{stem}.yaml").exists()
