"""What works on what: every strategy on a tiny model of every family that is read here, written to docs/strategies.md.

    WRITE_DOCS=1 python -m pytest tests/lightning_modules/strategies/test_support_matrix.py

Without WRITE_DOCS the page is compared with what was found.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from lightning_modules.merging import mergeable
from tests.lightning_modules.strategies import pairs

COLUMNS = (*pairs.FAMILIES, *pairs.OTHERS)
HEAD = """# What works on what

Every strategy on a tiny model of random weights of every family, built, trained for two steps and looked at by the
tests (`tests/lightning_modules/strategies/test_support_matrix.py` writes this page; the contract tests beside it say
what "works" means in full for BERT, GPT-2, Llama and T5, here read by its encoder). albert stands for every model of a
family whose layers are not known: it is read in one piece.

Start: how the model before the first step relates to the pretrained one (exact: bit for bit; numeric: up to rounding;
none: not at all). Saved as: what `python -m experiments.export RUN FOLDER` writes. Merges: whether `--merge` gives an
ordinary Hugging Face folder with the same output.

"""


@dataclass(frozen=True)
class Found:
    """Of one pair. reason: why it was refused, "" where it works."""

    reason: str = ""
    identity: str = ""
    saved: str = ""
    merges: bool = False


def look_at(name, folder, token_items):
    """Build, train, and see that what trains matters."""
    outcome = pairs.attempt(name, folder)
    if outcome.encoder is None:
        return Found(outcome.reason)
    encoder = outcome.encoder
    plan = encoder.plan
    pairs.train(encoder, token_items, steps=2)
    items = token_items(*pairs.LENGTHS)
    before = encoder.eval()(items)
    assert bool(torch.isfinite(before).all())
    pairs.perturb(encoder)
    moved = (encoder(items) - before).abs().amax(1)
    assert bool((moved > 1e-4).all()) == (name != "frozen"), (name, folder.name)
    return Found("", plan.identity, saved_as(encoder), mergeable(encoder))


def saved_as(encoder):
    """In whose format."""
    if encoder.plan.adapter is None:
        return "weights" if encoder.trainable() else "the model as it is"
    module = type(encoder.plan.adapter.active_peft_config).__module__
    return "peft's" if module.startswith("peft.") else f"peft's, opens after `import {module}`"


def page(found):
    """The Markdown of the matrix."""
    reasons = list(dict.fromkeys(one.reason for one in found.values() if one.reason))
    lines = [f"| strategy | {' | '.join(COLUMNS)} | start | saved as | merges |", f"|{'---|' * (len(COLUMNS) + 4)}"]
    for name in pairs.STRATEGIES:
        row = [found[name, family] for family in COLUMNS]
        working = next(one for one in row if not one.reason)
        cells = ["works" if not one.reason else f"refused ({reasons.index(one.reason) + 1})" for one in row]
        words = [*cells, working.identity, working.saved, "yes" if working.merges else "no"]
        lines.append(f"| `{name}` | {' | '.join(words)} |")
    works = sum(not one.reason for one in found.values())
    count = f"\n{works} pairs work, {len(found) - works} are refused before anything trains, none is untested.\n"
    notes = [f"{place + 1}. {reason}" for place, reason in enumerate(reasons)]
    return HEAD + "\n".join(lines) + "\n" + count + "\n" + "\n".join(notes) + "\n"


@pytest.fixture(scope="module")
def found(tiny_models, token_items):
    return {
        (name, family): look_at(name, tiny_models[family], token_items)
        for name in pairs.STRATEGIES
        for family in COLUMNS
    }


@pytest.mark.slow
def test_the_page_says_what_was_found(found, repository: Path):
    path = repository / "docs" / "strategies.md"
    if os.environ.get("WRITE_DOCS"):
        path.write_text(page(found), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == page(found), "run with WRITE_DOCS=1 and look at what changed"
    assert len(found) == len(pairs.STRATEGIES) * len(COLUMNS) == 26 * 11


@pytest.mark.slow
def test_known_families_are_refused_for_a_reason_of_their_own(found):
    """On a family that is known nothing is refused for not being known."""
    known = [one.reason for (_, family), one in found.items() if family != "albert"]
    assert not [reason for reason in known if "known are" in reason]
