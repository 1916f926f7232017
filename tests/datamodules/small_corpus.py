"""Small corpora that tests write out, and a source that hands them over."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from datamodules.corpus import INTERACTIONS, Corpus, Truth
from datamodules.preparing.preparation import Filters, prepare

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class FixedSource:
    """Hands over `corpus`. `setting` takes part in the fingerprint; what is loaded and where does not."""

    corpus: Corpus = field(compare=False)
    setting: str = ""
    raw: tuple[Path, ...] = field(default=(), compare=False)

    def files(self):
        return self.raw

    def load(self):
        return self.corpus


def interactions(events):
    """A table from tuples (user, item, time, behaviour, strength, split), of which the last four may be left out."""
    rows = [(*event, *(None, "view", None, None)[len(event) - 2 :]) for event in events]
    user, item, time, behaviour, strength, split = zip(*rows, strict=True) if rows else [()] * 6
    lines = range(1, len(rows) + 1)
    columns = [user, item, time, behaviour, strength, split, ["log.tsv"] * len(rows), lines]
    return pa.table({f.name: pa.array(c, f.type) for f, c in zip(INTERACTIONS, columns, strict=True)})


def items(keys, **fields):
    """An items table with lines from 1 on."""
    texts = {name: pa.array(values, pa.string()) for name, values in fields.items()}
    lines = pa.array(range(1, len(keys) + 1), pa.int64())
    return pa.table({"item": pa.array(keys, pa.string()), **texts, "file": ["items.tsv"] * len(keys), "line": lines})


def corpus(events, keys=None, truth=None, **fields):
    """A corpus of these events; by default the items are those that occur, in order of their key, titled by it."""
    keys = sorted({event[1] for event in events}) if keys is None else keys
    fields = fields or {"title": [f"title of {key}" for key in keys]}
    return Corpus("small", interactions(events), items(keys, **fields), tuple(fields), truth)


def prepared(root, events, filters=None, **more):
    """The prepared corpus of these events."""
    return prepare(FixedSource(corpus(events, **more)), filters or Filters(), root)


def random_events(seed, n=400, users=20, n_items=30, split=False):
    """Events with many ties in time, repeated pairs, unknown strengths and three behaviours."""
    rng = np.random.default_rng(seed)
    strengths = [None if rng.random() < 0.1 else float(rng.integers(1, 6)) for _ in range(n)]
    return [
        (
            f"u{int(rng.zipf(1.5)) % users}",
            f"i{int(rng.zipf(1.3)) % n_items}",
            float(rng.integers(0, 40)),
            str(rng.choice(["buy", "click", "view"])),
            strengths[row],
            str(rng.choice(["train", "valid", "test"])) if split else None,
        )
        for row in range(n)
    ]


def random_truth(rng, rows, n_items, topics=3):
    """A truth of the right sizes whose rows sum to one."""
    return Truth(rng.dirichlet(np.ones(topics), rows), rng.dirichlet(np.ones(n_items), topics))


def child(code, *arguments):
    """Start `code` in a Python of its own, with pipes; it finds the repository's packages."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, text=True, **pipes)


def output_of(code, *arguments):
    """Run `code` to its end; what it printed. It must succeed."""
    process = child(code, *arguments)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


def entries(folder):
    """Names of everything in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())
