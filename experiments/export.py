"""Take the language model out of a run, for other programs.

    python -m experiments.export RUN_DIR FOLDER
    python -m experiments.export RUN_DIR FOLDER --merge

Writes what the strategy trained in peft's format with the tokenizer (a folder of a method that peft has not opens after
one import, see docs/strategies.md), or with --merge an ordinary Hugging Face folder with the same output: weights,
configuration and tokenizer, and says by how much a text's vector moved. A strategy that trains the model's own weights
leaves such a folder either way. A model of `backbone.first_layers` is written beside an adapter, which has to be put on
it and not on the whole one. Interest, head, a pooling that was learned and whatever else stands behind the language
model stay in the run.
"""

import argparse
import json
import shutil
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.pretrained import tokenizer_files
from datamodules.storage import atomic_folder
from experiments.faults import told

if TYPE_CHECKING:  # importing it takes seconds, and --help needs none of it
    from peft import PeftModel
    from transformers import PreTrainedModel

    from datamodules.interest_datamodule import InterestDataModule
    from datamodules.types import Items
    from lightning_modules.parts.encoder import Encoder

SAMPLE = 256
"""Texts whose vectors are compared."""

TOLERANCE = 1e-4
"""Largest difference to a vector of the run, as a share of the largest entry of all, that passes for rounding."""

BASE = "base_model"
"""The folder, within an adapter's, of the model that it has to be put on, where that is not the pretrained one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 with one line on standard error where the input is at fault."""
    parser = argparse.ArgumentParser("python -m experiments.export", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="the folder of a run")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to write; must not exist or be empty")
    parser.add_argument("--merge", action="store_true", help="an ordinary Hugging Face folder in place of peft's")
    return told(partial(export, parser.parse_args(arguments)), "export")


def export(options: argparse.Namespace) -> None:
    """Load, write, compare and print. Nothing is left in the folder where it raises: `ValueError` for a run without a
    language model, a folder that holds something, a strategy that cannot be merged, and a merged model that says
    something else."""
    from experiments.config.pretrained import model_folder, pretrained_names
    from experiments.loading import load

    if options.folder.exists() and any(options.folder.iterdir()):
        raise ValueError(f"{options.folder} holds something already; name a new folder")
    run = load(options.run)
    names = pretrained_names(run.config)
    if not names:
        raise ValueError(f"{run.folder.name} has no language model to export")
    name, node = next(iter(names.values())), _node(run.config["backbone"])
    encoder, source = run.model.encoder, model_folder(name, Path(run.config["cache_dir"]))
    adapter: Any = encoder.plan.adapter
    target = options.folder.absolute()
    if target.exists():
        target.rmdir()  # a whole one takes its place
    with atomic_folder(target) as made:
        if adapter is not None and not options.merge:
            base = _write_adapter(adapter, node, source, made, target)
            if base is None and "/" in name and not Path(name).exists():
                _name_base(made, name)
            for file in tokenizer_files(source):
                shutil.copy(file, made)
            print(f"peft's format, to be put on {base or name}", file=sys.stderr)
        else:
            moved = _write_whole(encoder, node, source, made, _few(run.data))
            print(f"largest difference to a vector of the run, of {SAMPLE} texts at most: {moved:.2g}", file=sys.stderr)
    print(options.folder)


def _write_adapter(adapter: "PeftModel", node: dict[str, Any], source: Path, folder: Path, target: Path) -> Path | None:
    """Write peft's folder, and within it the model that it belongs on where layers were left out: on the whole one peft
    would put something on each of them. Returns where that model lies once `folder` is `target`; None where it is the
    pretrained one."""
    from lightning_modules.backbones.language_model import LanguageModelBackbone

    warn_of_silence(adapter)
    base = None
    if node.get("first_layers") is not None:
        first = LanguageModelBackbone(str(source), node.get("pooling", "mean"), first_layers=node["first_layers"])
        _save(first.pretrained, source, folder / BASE)
        base = target / BASE
        adapter.active_peft_config.base_model_name_or_path = str(base)
    # No method here touches the embeddings; asked to find out, peft looks for the model, which is not in its place yet.
    adapter.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's card, every field of it empty
    return base


def _name_base(folder: Path, name: str) -> None:
    """Say on which model the adapter belongs by the name that the run had for it, where peft wrote the folder of this
    machine that it was read from."""
    path = folder / "adapter_config.json"
    record = json.loads(path.read_text(encoding="utf-8")) | {"base_model_name_or_path": name}
    path.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def warn_of_silence(adapter: "PeftModel") -> None:
    """peft hands a prefix over as the keys and values of earlier words, and these families take none: they pass it by
    without a word, or raise."""
    from peft import PrefixTuningConfig

    from lightning_modules.parts.families import T5_LIKE

    model = adapter.get_base_model()
    silent = model.config.model_type in ("distilbert", "modernbert", *T5_LIKE)
    if silent and isinstance(adapter.active_peft_config, PrefixTuningConfig):
        said = f"peft alone puts no prefix into {type(model).__name__}, so this folder is of no use to other programs"
        warnings.warn(f"{said}; load the run with InterestLab (experiments.loading.load)", stacklevel=2)


def _write_whole(encoder: "Encoder", node: dict[str, Any], source: Path, folder: Path, few: "Items") -> float:
    """Write the merged model, open it as anybody would, and compare pooled vectors. Raises `ValueError` where they
    differ by more than rounding."""
    from lightning_modules.merging import merged

    before = encoder.pooled(few)
    _save(merged(encoder), source, folder)
    moved = float((_opened(encoder, node, folder).pooled(few) - before).abs().max())
    allowed = TOLERANCE * float(before.abs().max())
    if not moved <= allowed:
        raise ValueError(
            f"the merged model moves a vector of the run by {moved:.2g}, and rounding explains {allowed:.2g}; export "
            "without --merge"
        )
    return moved


def _opened(encoder: "Encoder", node: dict[str, Any], folder: Path) -> "Encoder":
    """The written model, pooled as the run pools: what of it was learned is in no folder of Hugging Face's."""
    from lightning_modules.backbones.language_model import LanguageModelBackbone
    from lightning_modules.parts.encoder import Encoder
    from lightning_modules.parts.planning import as_module
    from lightning_modules.strategies.frozen import FrozenStrategy

    ours = next(part for part in as_module(encoder.backbone).modules() if isinstance(part, LanguageModelBackbone))
    opened = LanguageModelBackbone(str(folder), node.get("pooling", "mean"))
    opened.pooling.load_state_dict(ours.pooling.state_dict())
    return Encoder(opened, FrozenStrategy())


def _save(model: "PreTrainedModel", source: Path, folder: Path) -> None:
    """Weights and configuration, and the tokenizer of `source` as it is."""
    from lightning_modules.parts.loading import quiet

    with quiet():
        model.save_pretrained(folder)
    for file in tokenizer_files(source):
        shutil.copy(file, folder)


def _few(data: "InterestDataModule") -> "Items":
    """Texts as word pieces, whatever was kept of them in their place."""
    import torch

    from datamodules.types import Items

    rows = torch.arange(min(SAMPLE, len(data.item_of_row)))
    return Items(data.item_of_row[rows], data.tokens.take(rows))


def _node(backbone: dict[str, Any]) -> dict[str, Any]:
    """The configuration of what reads the text."""
    from experiments.config.check import nodes

    return next(node for _, node in nodes(backbone) if "path" in node)


if __name__ == "__main__":
    sys.exit(main())
