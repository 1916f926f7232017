"""Saved folders say the same in a process that knows torch, transformers and peft alone; ours need one import more."""

import json
import os
import subprocess
import sys

import pytest
import torch

from tests.lightning_modules.padding import pad
from tests.lightning_modules.strategies import pairs
from tests.lightning_modules.strategies.test_contract import NOT_IN_PEFT, PEFT_IS_SILENT, REFUSED

MODULES = dict.fromkeys(("houlsby", "pfeiffer", "parallel", "compacter"), "lightning_modules.parts.bottleneck")
MODULES |= {"side": "lightning_modules.parts.ladder", "iisan": "lightning_modules.parts.decoupled"}
SAVED = [pair for pair in pairs.PAIRS if pair not in REFUSED and pair[0] not in NOT_IN_PEFT]

# Prints how far each folder's vectors are from those that were kept (null: peft's own forward fails), the modules of
# this repository that were there when the folders of peft's own methods had been opened, and those of ours that opened
# before their module was imported.
OPENER = """
import importlib, json, sys
from pathlib import Path

import peft, torch
from transformers import AutoModel, T5EncoderModel

root = Path(sys.argv[1])
cases = json.loads((root / "cases.json").read_text())
given = torch.load(root / "given.pt")
tokens, mask = given["tokens"], given["mask"]


@torch.no_grad()
def vectors(case):
    stock = T5EncoderModel if case["family"] == "t5" else AutoModel
    model = peft.PeftModel.from_pretrained(stock.from_pretrained(case["model"]), root / case["folder"]).eval()
    said = model(input_ids=tokens, attention_mask=mask.long())
    if case["name"] == "iisan":
        return said.pooler_output
    words = said.last_hidden_state[:, -tokens.shape[1] :]
    return (words * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def distance(case):
    try:
        return float((vectors(case) - given[case["folder"]]).abs().max())
    except RuntimeError:
        return None


distances = {case["folder"]: distance(case) for case in cases if not case["module"]}
known = [name for name in sys.modules if name.partition(".")[0] in ("lightning_modules", "datamodules", "experiments")]
early = []
for module in dict.fromkeys(case["module"] for case in cases if case["module"]):
    mine = [case for case in cases if case["module"] == module]
    for case in mine:
        try:
            early.append((case["folder"], distance(case)))
        except (KeyError, ValueError):
            pass
    importlib.import_module(module)
    distances |= {case["folder"]: distance(case) for case in mine}
print(json.dumps({"distances": distances, "known": known, "early": early}))
"""


def keep(root, saved, folders, items):
    """The pairs' folders, as peft saves them, and what the pairs say."""
    tokens, mask = pad(items.tokens, 0)
    given, cases = {"tokens": tokens, "mask": mask}, []
    for name, family in saved:
        encoder, folder = pairs.build(name, folders[name, family]).eval(), f"{name}-{family}"
        pairs.perturb(encoder)
        encoder.plan.adapter.save_pretrained(root / folder)
        given[folder] = encoder(items).detach()
        where = {"folder": folder, "model": str(folders[name, family]), "module": MODULES.get(name)}
        cases.append({"name": name, "family": family} | where)
    torch.save(given, root / "given.pt")
    (root / "cases.json").write_text(json.dumps(cases))


@pytest.mark.parametrize(
    ("families", "count"),
    [(("bert",), 20), pytest.param(("gpt2", "llama", "t5"), 57, marks=pytest.mark.slow)],
    ids=["bert", "others"],
)
def test_peft_alone_opens_its_own_methods_and_ours_after_one_import(
    families, count, folders, token_items, tmp_path, repository
):
    saved = [pair for pair in SAVED if pair[1] in families]
    keep(tmp_path, saved, folders, token_items(*pairs.LENGTHS))
    command = [sys.executable, "-c", OPENER, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(repository)}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr[-1500:]
    opened = json.loads(ended.stdout.splitlines()[-1])
    assert opened["known"] == []
    assert opened["early"] == []
    assert len(opened["distances"]) == len(saved) == count
    far = {folder for folder, distance in opened["distances"].items() if distance is None or distance > 2e-5}
    assert far == {f"prefix-{family}" for family in families if ("prefix", family) in PEFT_IS_SILENT}
    assert ("prefix-t5" in far) == ("t5" in families)
    assert sum(name in MODULES for name, _ in saved) == 6 * len(families)
