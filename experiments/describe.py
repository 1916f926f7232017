"""Describe the data of a composition: counts, lengths, ties, cold items, and what the language model will read.

    python -m experiments.describe datamodule=movielens datamodule.source.variant=1m text.pattern="{title} ({genres})"

Takes the overrides of experiments.train. Prepares the data where that was not done before; the last line on standard
output is the folder of the prepared corpus.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from datamodules.preparing.prepared import Prepared
from datamodules.text.template import TextTable
from datamodules.text.tokens import Tokens, tokenise
from experiments.config.compose import compose
from experiments.config.instantiate import instantiate
from experiments.config.pretrained import model_folder, pretrained_names
from experiments.corpus import prepared_of
from experiments.description import corpus_facts, examples_grid, facts_grid, filters_grid, split_grids, text_facts
from experiments.faults import told
from experiments.tables.console import show
from experiments.tables.grid import Grid, Report


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 with one line on standard error where the configuration or the data are at fault."""
    parser = argparse.ArgumentParser("python -m experiments.describe", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for experiments.train")
    return told(partial(print_description, parser.parse_args(arguments).overrides), "describe")


def print_description(overrides: Sequence[str]) -> None:
    """Print all tables, and the folder of the prepared corpus last."""
    config = compose(overrides)
    prepared = prepared_of(config)
    show(describe(config, prepared), Console(width=None if sys.stdout.isatty() else 160))
    print(prepared.folder)


def describe(config: dict[str, Any], prepared: Prepared) -> Report:
    """All tables. Raises `DataError` where the split or the text cannot be made."""
    splitter: Any = instantiate(config["split"])
    few_shot: Any = instantiate(config["datamodule"].get("few_shot"))
    grids = [
        filters_grid(prepared),
        facts_grid(f"Corpus {prepared.name}", corpus_facts(prepared)),
        *split_grids(prepared, splitter(prepared), few_shot),
    ]
    return Report((*grids, *_text_grids(config, prepared)), (), ())


def _text_grids(config: dict[str, Any], prepared: Prepared) -> list[Grid]:
    """Nothing where the composition makes no text or the items have none."""
    if config.get("text") is None or not prepared.fields:
        return []
    template: Any = instantiate(config["text"])
    table = template(prepared)
    tokens = _tokens(config, table, template.max_tokens)
    facts = text_facts(table, prepared.items.num_rows, tokens, template.max_tokens)
    return [facts_grid("Text", facts), examples_grid(prepared, table)]


def _tokens(config: dict[str, Any], table: TextTable, max_tokens: int) -> Tokens | None:
    """Word pieces as the backbone's tokenizer cuts them; None where the backbone reads no text."""
    cache = Path(config["cache_dir"])
    folders = [model_folder(name, cache) for name in pretrained_names(config).values()]
    return tokenise(table.texts, folders[0], max_tokens, cache) if folders else None


if __name__ == "__main__":
    sys.exit(main())
