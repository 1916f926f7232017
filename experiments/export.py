"""Take the language model out of a run, for other programs.

    python -m experiments.export RUN_DIR FOLDER
    python -m experiments.export RUN_DIR FOLDER --merge

Writes what the strategy trained in peft's format (a folder of a method that peft has not opens after one import, see
docs/strategies.md), or with --merge an ordinary Hugging Face folder with the same output: weights, configuration
and tokenizer, and says by how much a text's vector moved. A strategy that trains the model's own weights leaves such a
folder either way. Interest, head and whatever else stands behind the language model stay in the run.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.faults import told

if TYPE_CHECKING:  # importing it takes seconds, and --help needs none of it
    from lightning_modules.parts.encoder import Encoder

SAMPLE = 256
"""Texts whose vectors are compared."""

TOKENIZER = ("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "spiece.model")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 with one line on standard error where the input is at fault."""
    parser = argparse.ArgumentParser("python -m experiments.export", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="the folder of a run")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to write; must not exist or be empty")
    parser.add_argument("--merge", action="store_true", help="an ordinary Hugging Face folder in place of peft's")
    return told(partial(export, parser.parse_args(arguments)), "export")


def export(options: argparse.Namespace) -> None:
    """Load, write, compare and print. Raises `ValueError` for a run without a language model, a folder that holds
    something, and a strategy that cannot be merged."""
    from experiments.config.pretrained import model_folder, pretrained_names
    from experiments.loading import load

    if options.folder.exists() and any(options.folder.iterdir()):
        raise ValueError(f"{options.folder} holds something already; name a new folder")
    run = load(options.run)
    names = pretrained_names(run.config)
    if not names:
        raise ValueError(f"{run.folder.name} has no language model to export")
    encoder = run.model.encoder
    adapter: Any = encoder.plan.adapter
    if adapter is not None and not options.merge:
        adapter.save_pretrained(str(options.folder))
        print(f"peft's format, to be put on {next(iter(names.values()))}", file=sys.stderr)
    else:
        source = model_folder(next(iter(names.values())), Path(run.config["cache_dir"]))
        moved = _write_whole(encoder, source, options.folder, _node(run.config["backbone"]), run.data.items())
        print(f"largest difference to a vector of the run, of {SAMPLE} texts at most: {moved:.2g}", file=sys.stderr)
    print(options.folder)


def _write_whole(encoder: "Encoder", source: Path, folder: Path, node: dict[str, Any], items: Any) -> float:
    """Write the merged model, open it as anybody would, and compare pooled vectors."""
    import torch

    from lightning_modules.backbones.language_model import LanguageModelBackbone
    from lightning_modules.merging import merged
    from lightning_modules.parts.encoder import Encoder
    from lightning_modules.strategies.frozen import FrozenStrategy

    few = items.take(torch.arange(min(SAMPLE, len(items))))
    few = type(few)(few.ids, tokens=few.tokens)  # read, not taken from the cache
    before = encoder.pooled(few)
    merged(encoder).save_pretrained(folder)
    for file in {file for pattern in TOKENIZER for file in source.glob(pattern)}:
        shutil.copy(file, folder)
    opened = LanguageModelBackbone(str(folder), pooling=node.get("pooling", "mean"))
    return float((Encoder(opened, FrozenStrategy()).pooled(few) - before).abs().max())


def _node(backbone: dict[str, Any]) -> dict[str, Any]:
    """The configuration of what reads the text."""
    from experiments.config.check import nodes

    return next(node for _, node in nodes(backbone) if "path" in node)


if __name__ == "__main__":
    sys.exit(main())
