"""What a prepared corpus, its split and its texts are like, as tables."""

from collections.abc import Sequence

import numpy as np

from datamodules.few_shot import FewShot
from datamodules.preparing.prepared import Prepared, QuerySet, Split
from datamodules.text.template import TextTable
from datamodules.text.tokens import Tokens
from experiments.tables.grid import Cell, Grid
from experiments.units import NOTHING, share

Facts = dict[str, str]


def filters_grid(prepared: Prepared) -> Grid:
    """Events, users and items that each filter left, as read first."""
    counted = ("events", "users", "items")
    rows = [[step["filter"], *(f"{step[key]:,}" for key in counted)] for step in prepared.report["filters"]]
    return _grid("What the filters left", ("filter", *counted), rows)


def corpus_facts(prepared: Prepared) -> Facts:
    """Counts, ties in time (broken by order of reading) and behaviours."""
    report = prepared.report
    lengths = np.diff(prepared.offsets)
    occupied = report["events"] / (report["users"] * report["items"])
    facts = {
        "events": f"{report['events']:,}",
        "users": f"{report['users']:,}, of them {report['short_users']:,} with fewer than 3 events",
        "items": f"{report['items']:,}, of them {report['items_without_events']:,} without events",
        "events per user and item": share(occupied),
        "history length": spread(lengths),
        "time": _period(prepared),
    }
    if report["tied_events"] is not None:
        facts["ties in time"] = (
            f"{report['tied_events']:,} events at the time of the one before; {report['tied_last']:,} users whose last "
            "event is such a one"
        )
    return facts | {f"behaviour '{name}'": text for name, text in _behaviours(prepared)}


def split_facts(prepared: Prepared, split: Split) -> Facts:
    """Training events, queries and their answers, and how much of it training has never seen."""
    counts = training_counts(prepared, split)
    facts = {
        "training events": f"{int(counts.sum()):,}",
        "items never trained on": f"{int((counts == 0).sum()):,} ({share(float((counts == 0).mean()))})",
    }
    for name, queries in split.queries.items():
        facts[f"{name} queries"] = f"{len(queries.user):,}, answers to one: {spread(np.diff(queries.offsets))}"
        facts[f"{name} answers never trained on"] = share(cold_share(prepared, queries, counts))
    return facts


def split_grids(prepared: Prepared, split: Split, few_shot: FewShot | None) -> list[Grid]:
    """The split as training sees it, and, where labels are few, how many users and targets that leaves."""
    if few_shot is None:
        return [facts_grid("Split", split_facts(prepared, split))]
    few = few_shot(prepared, split)
    left = facts_grid("What few_shot left", few_shot_facts(prepared, split, few))
    return [facts_grid("Split", split_facts(prepared, few)), left]


def few_shot_facts(prepared: Prepared, whole: Split, few: Split) -> Facts:
    """Users, training events and targets with few labels, and of how many. A target is a training event with another
    one before it; both objectives ask for each of them once."""

    def of(split: Split) -> tuple[int, int, int]:
        labels = split.train_stop - prepared.offsets[:-1]
        return int((labels > 0).sum()), int(labels.sum()), int(np.maximum(labels - 1, 0).sum())

    words = ("users with training events", "training events", "targets")
    pairs = zip(words, of(few), of(whole), strict=True)
    return {word: f"{left:,} of {total:,} ({share(left / total if total else 0.0)})" for word, left, total in pairs}


def training_counts(prepared: Prepared, split: Split) -> np.ndarray:
    """(N,) how often each catalogue item occurs in training."""
    place = np.arange(len(prepared.item))
    trained = place < np.repeat(split.train_stop, np.diff(prepared.offsets))
    return np.bincount(prepared.item[trained], minlength=prepared.items.num_rows)


def cold_share(prepared: Prepared, queries: QuerySet, counts: np.ndarray) -> float:
    """Share of the answers whose item has no training event: only its text can rank it."""
    return float((counts[prepared.item[queries.events]] == 0).mean()) if len(queries.events) else 0.0


def text_facts(table: TextTable, n_items: int, tokens: Tokens | None, max_tokens: int) -> Facts:
    """Size of the texts in words, and in word pieces where a tokenizer is known."""
    facts = {
        "texts": f"{len(table.texts):,}: {n_items:,} items, {len(table.texts) - n_items:,} with a behaviour in words",
        "distinct texts of items": f"{len(set(table.texts[:n_items])):,}",
        "words of a text": spread(np.array([len(text.split()) for text in table.texts])),
    }
    if tokens is None:
        return facts | {"word pieces": "no language model reads in this composition; choose one: backbone=minilm"}
    lengths = np.diff(tokens.offsets)
    return facts | {
        "word pieces of a text": spread(lengths),
        f"texts at the limit of {max_tokens} word pieces": share(float((lengths >= max_tokens).mean())),
        "word pieces unknown to the tokenizer": share(tokens.unknown_share),
    }


def examples_grid(prepared: Prepared, table: TextTable, n_items: int = 3, n_events: int = 5) -> Grid:
    """What a language model reads: the most frequent items' texts, then the end of the longest history."""
    popular = np.argsort(-np.bincount(prepared.item, minlength=prepared.items.num_rows), kind="stable")[:n_items]
    rows = [[f"item {prepared.item_keys[item]}", table.texts[item]] for item in popular]
    user = int(np.argmax(np.diff(prepared.offsets)))
    stop = int(prepared.offsets[user + 1])
    for event in range(max(stop - n_events, int(prepared.offsets[user])), stop):
        text = table.texts[table.row[prepared.behaviour[event], prepared.item[event]]]
        rows.append([f"user {prepared.users[user]}, event {event - int(prepared.offsets[user]) + 1}", text])
    return _grid("What the language model reads", ("of", "text"), rows, names=2)


def facts_grid(title: str, facts: Facts) -> Grid:
    """Facts as a table of two columns."""
    return _grid(title, ("what", "value"), list(facts.items()), names=2)


def spread(values: np.ndarray) -> str:
    """Least, quartiles, most and mean, or the one value that all have."""
    if not len(values):
        return NOTHING
    least, *quartiles, most = map(_short, np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
    if least == most:
        return f"always {least}"
    return f"least {least}, quartiles {' / '.join(quartiles)}, most {most}, mean {_short(values.mean())}"


def _short(value: float) -> str:
    """Whole numbers whole, others to three digits or the unit."""
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:.3g}"


def _period(prepared: Prepared) -> str:
    if prepared.time is None:
        return "unknown, only the order of events is known"
    first, last = (np.datetime64(int(moment), "s") for moment in (prepared.time.min(), prepared.time.max()))
    return f"{first} to {last}"


def _behaviours(prepared: Prepared) -> list[tuple[str, str]]:
    found = []
    for number, name in enumerate(prepared.behaviours):
        mine = prepared.behaviour == number
        if mine.any():
            strength = prepared.strength[mine]
            known = strength[~np.isnan(strength)]
            about = f", strength: {spread(known)}" if len(known) else ""
            found.append((name or "unknown", f"{int(mine.sum()):,} events{about}"))
    return found


def _grid(title: str, header: tuple[str, ...], rows: Sequence[Sequence[str]], names: int = 1) -> Grid:
    return Grid(title, header, tuple(tuple(Cell(str(text)) for text in row) for row in rows), names)
