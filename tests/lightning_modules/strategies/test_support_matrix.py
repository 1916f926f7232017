"""What works on what: every strategy on a tiny model of every family that is read here, written to docs/strategies.md.

    WRITE_DOCS=1 python -m pytest tests/lightning_modules/strategies/test_support_matrix.py

Without WRITE_DOCS the page is compared with what was found, but for measured numbers, whose last digits are another
machine's; those have bounds of their own.
"""

import os
import re
from pathlib import Path

import peft
import pytest
import torch
import transformers

from lightning_modules.parts.families import FAMILIES
from tests.lightning_modules.strategies import pairs
from tests.lightning_modules.strategies.measured import STEPS, Column, measure

WITH_DECODER = "t5 with its decoder"
UNKNOWN = "albert"
MORE = ("xlm-roberta", "camembert", "qwen2", "mt5")
"""Of a kind with another family, by what transformers calls their parts."""
ROUNDING = 2e-5

HEAD = """# What works on what

Every strategy on a tiny model of random weights of every family, built, trained for {steps} steps, saved, merged and
looked at by the tests (`tests/lightning_modules/strategies/test_support_matrix.py` writes this page; the contract tests
beside it say what "works" means in full for BERT, GPT-2, Llama and T5, there read by its encoder). {unknown} stands for
every model of a family whose layers are not known: it is read in one piece. Columns that agree in every row stand
together; each of their families was run. Settings are those of conf/strategy, but for those that do not fit models of 2
layers of 32 dimensions: {fitted}.

"""
SECOND = """
## Start, saving, merging

Differences are measured: the largest, over all families that a strategy works on, of any entry of a text's vector, the
largest entry of which is {entry}. Measured with torch {torch}, transformers {transformers} and peft {peft}.

Step 0: the model before the first step against the pretrained one (exact: the same bits on every family; numeric: up
to rounding; none: another model). Saved as: what `python -m experiments.export RUN FOLDER` writes. Opened with peft:
the saved folder after {steps} steps, put by peft on the model as transformers alone reads it, against the trained
model; "not on" where peft's own forward fails or says something else. Merged: what `--merge` writes after {steps}
steps, opened as an ordinary Hugging Face folder, against the trained model.

"""


def known():
    """Families that have to be run."""
    return (*sorted(FAMILIES), WITH_DECODER, UNKNOWN)


def said(number):
    """As everywhere on the page."""
    return "exact" if number == 0 else f"{number:.1e}"


def start_words(largest):
    """What was measured, by the names that strategies declare."""
    kind = "numeric, " if largest <= ROUNDING else "none, "
    return said(largest) if largest == 0 else kind + said(largest)


def works_table(found, columns, reasons):
    """Strategies by families, those together that agree."""
    groups = {}
    for column in columns:
        groups.setdefault(tuple(found[name, column].reason for name in pairs.STRATEGIES), []).append(column)
    lines = [f"| strategy | {' | '.join(map(', '.join, groups.values()))} |", f"|{'---|' * (len(groups) + 1)}"]
    for name in pairs.STRATEGIES:
        row = [found[name, alike[0]].reason for alike in groups.values()]
        words = ["works" if not reason else f"refused ({reasons.index(reason) + 1})" for reason in row]
        lines.append(f"| `{name}`{_settings(name)} | {' | '.join(words)} |")
    return "\n".join(lines) + "\n"


def _settings(name):
    """Those that are not of conf/strategy: with its own a strategy may be refused, as top_k on a single layer is."""
    own = ", ".join(f"{key}={value}" for key, value in pairs.TINY.get(name, {}).items())
    return f" ({own})" if own else ""


def opened_words(working):
    """Where a folder opens with peft, and how well."""
    differences = {column: one.opened for column, one in working.items() if one.opened is not None}
    if not differences:
        return "-"
    missing = [column for column, difference in differences.items() if not difference <= ROUNDING]
    largest = max(difference for column, difference in differences.items() if column not in missing)
    return said(largest) + (f", not on {', '.join(missing)}" if missing else "")


def measured_table(found, columns):
    """Strategies by what was measured."""
    lines = ["| strategy | step 0 | saved as | opened with peft | merged |", f"|{'---|' * 5}"]
    for name in pairs.STRATEGIES:
        working = {column: found[name, column] for column in columns if not found[name, column].reason}
        saved = ", ".join(dict.fromkeys(one.saved for one in working.values()))
        merging = [one.merged for one in working.values() if one.merged is not None]
        merged = "no" if not merging else said(max(merging))
        start = start_words(max(one.start for one in working.values()))
        lines.append(f"| `{name}` | {start} | {saved} | {opened_words(working)} | {merged} |")
    return "\n".join(lines) + "\n"


def page(found):
    """The Markdown of both tables, and of what was not run."""
    columns = list(dict.fromkeys(column for _, column in found))
    reasons = list(dict.fromkeys(one.reason for one in found.values() if one.reason))
    works = sum(not one.reason for one in found.values())
    missing = [f"{name} on {family}" for family in known() for name in pairs.STRATEGIES if (name, family) not in found]
    untested = f"{len(missing)} untested{': ' if missing else ''}{', '.join(missing)}"
    count = f"\n{works} pairs work, {len(found) - works} are refused before anything trains, {untested}.\n\n"
    notes = "".join(f"{place + 1}. {reason}\n" for place, reason in enumerate(reasons))
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    entry = f"{max(one.entry for one in found.values()):.1e}"
    head = HEAD.format(steps=STEPS, unknown=UNKNOWN, fitted=fitted())
    second = SECOND.format(steps=STEPS, entry=entry, **versions)
    return head + works_table(found, columns, reasons) + count + notes + second + measured_table(found, columns)


def fitted():
    """Settings that are not those of conf/strategy."""
    said = {name: ", ".join(f"{key}={value}" for key, value in own.items()) for name, own in pairs.TINY.items()}
    alike = {own: [name for name in said if said[name] == own] for own in said.values()}
    return " and ".join(f"{', '.join(names)} ({own})" for own, names in alike.items())


def comparable(text):
    """Without measured numbers and versions."""
    return re.sub(r"\d+\.\d[\w.+-]*", "#", text)


@pytest.fixture(scope="module")
def found(tiny_models, token_items, tmp_path_factory):
    columns = {family: Column(tiny_models[family]) for family in (*pairs.FAMILIES, *pairs.OTHERS, *MORE)}
    columns[WITH_DECODER] = Column(tiny_models["t5"], pooling="decoder")
    return {
        (name, label): measure(name, column, token_items, tmp_path_factory.mktemp("saved"))
        for name in pairs.STRATEGIES
        for label, column in columns.items()
    }


# What peft 0.21.2 asks of transformers 5 by old names, and what it warns of its own norms (seen on 2026-11-25).
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Unsupported layer type:UserWarning"),
]


def test_the_page_says_what_was_found(found, repository: Path):
    path = repository / "docs" / "strategies.md"
    if os.environ.get("WRITE_DOCS"):
        path.write_text(page(found), encoding="utf-8")
    assert comparable(path.read_text(encoding="utf-8")) == comparable(page(found)), (
        "run with WRITE_DOCS=1 and look at what changed"
    )


def test_every_strategy_was_run_on_every_family(found):
    assert found.keys() == {(name, family) for name in pairs.STRATEGIES for family in known()}
    assert len(found) == 26 * 16


def test_the_count_is_of_what_was_run(found):
    few = {pair: one for pair, one in found.items() if pair[1] != "mt5"}
    assert " 0 untested." in page(found)
    assert " 26 untested: adalora on mt5, bitfit on mt5, " in page(few)


def test_known_families_are_refused_for_a_reason_of_their_own(found):
    """On a family that is known nothing is refused for not being known."""
    reasons = [one.reason for (_, family), one in found.items() if family != UNKNOWN]
    assert not [reason for reason in reasons if "known are" in reason or "not known" in reason]


def test_step_0_is_as_declared(found):
    working = {pair: one for pair, one in found.items() if not one.reason}
    bounds = {"exact": (0.0, 0.0), "numeric": (0.0, 1e-5), "none": (1e-4, 1e2)}
    off = {
        pair: one.start
        for pair, one in working.items()
        if not bounds[one.identity][0] <= one.start <= bounds[one.identity][1]
    }
    assert off == {}
    assert {one.identity for one in working.values()} == bounds.keys()


def test_what_is_merged_says_the_same(found):
    merged = {pair: one.merged for pair, one in found.items() if one.merged is not None}
    assert len(merged) > 200
    assert {pair: difference for pair, difference in merged.items() if not difference <= ROUNDING} == {}
