"""Law 6: batches equal a slow and obvious twin, over every objective and every choice of candidates."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from datamodules.batching.batches import step_order, windows
from datamodules.text.template import TemplateText
from datamodules.tiny_model import write_tiny_bert
from experiments.config.instantiate import instantiate
from tests.datamodules.small_corpus import FixedSource, corpus, random_events
from tests.datamodules.small_module import epoch, small_module

CONF = Path(__file__).resolve().parents[2] / "conf"
OBJECTIVES, CANDIDATES = (
    {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in sorted((CONF / seam).glob("*.yaml"))}
    for seam in ("objective", "candidates")
)
EVERY = [(objective, sampler) for objective in OBJECTIVES for sampler in CANDIDATES]
every = pytest.mark.parametrize(("objective", "sampler"), EVERY)


def data_module(root, objective, sampler, phrases=(), **settings):
    """Three behaviours, unknown strengths, ties in time; with `phrases` a tokenizer reads them in the histories."""
    if phrases:
        write_tiny_bert(root / "bert")
        text = TemplateText(phrases=dict.fromkeys(phrases, "with joy"))
        settings |= {"text": text, "tokenizer": root / "bert"}
    return small_module(
        root / "cache",
        FixedSource(corpus(random_events(5, n=300, users=12, n_items=25))),
        objective=instantiate(OBJECTIVES[objective] | {"history_length": 5}),
        candidates=instantiate(CANDIDATES[sampler]),
        users_per_step=4,
        **settings,
    )


def told(data, batch):
    """The batch in plain words: for each query its answer, and what it is asked after, oldest first."""
    found, q = [], 0
    ids, columns = batch.items.ids, batch.candidates.slot
    for b, user in enumerate(batch.events.user.tolist()):
        for t in batch.queries.mask[b].nonzero()[:, 0].tolist():
            last = int(batch.queries.position[b, t])
            past = [
                (
                    int(ids[batch.events.slot[b, h]]),
                    data.log.behaviours[batch.events.behaviour[b, h]],
                    float(batch.events.strength[b, h]),
                    float(batch.events.time[b, h]),
                )
                for h in range(last + 1)
            ]
            assert batch.events.mask[b, : last + 1].all()
            answer = int(ids[columns[batch.targets.column[q]]])
            found.append((user, tuple(past), float(batch.queries.time[b, t]), answer))
            q += 1
    assert q == len(batch.targets.column)
    return found


def due(data, objective, length=5):
    """The same, from the prepared corpus, event by event."""
    p, log, found = data.prepared, data.log, []
    for user in range(len(p.offsets) - 1):
        start, stop = int(p.offsets[user]), int(data.split_of.train_stop[user])
        for target in range(start + 1, stop):
            back = length
            if objective == "next":  # windows of `length` are counted from the end of the user's questions
                back = length - (stop - 1 - target) % length
            first = max(start, target - back)
            past = tuple(
                (int(p.item[e]), p.behaviours[p.behaviour[e]], float(log.strength[e]), float(p.time[e]))
                for e in range(first, target)
            )
            found.append((user, past, float(p.time[target - 1]), int(p.item[target])))
    return found


def test_every_pair_was_found():
    assert len(EVERY) >= 6


@every
def test_an_epoch_asks_everything_exactly_once(objective, sampler, tmp_path):
    """Whatever the candidates: users, histories with all columns, the time of asking, answers."""
    data = data_module(tmp_path, objective, sampler)
    asked = [query for batch in epoch(data) for query in told(data, batch)]
    expected = due(data, objective) if objective in ("next", "last") else asked
    assert len(asked) > 100
    assert Counter(asked) == Counter(expected)


@every
def test_every_distinct_item_stands_once_and_everything_else_is_an_index(objective, sampler, tmp_path):
    data = data_module(tmp_path, objective, sampler)
    for batch in epoch(data):
        assert len(batch.items.ids.unique()) == len(batch.items)
        used = torch.cat([batch.events.slot[batch.events.mask], batch.candidates.slot])
        assert used.unique().tolist() == list(range(len(batch.items)))
        assert len(batch.candidates.slot.unique()) == len(batch.candidates.slot)
        assert (batch.targets.value == 1).all()


@every
def test_a_candidates_text_never_carries_behaviour_and_a_historys_does(objective, sampler, tmp_path):
    data = data_module(tmp_path, objective, sampler, phrases=("buy",))
    tokens = {tuple(data.tokens.take(torch.tensor([row])).values.tolist()): row for row in range(len(data.item_of_row))}
    carried = 0
    for batch in epoch(data):
        rows = [
            tokens[tuple(batch.items.tokens.take(torch.tensor([u])).values.tolist())] for u in range(len(batch.items))
        ]
        assert all(rows[slot] < data.log.n_items for slot in batch.candidates.slot.tolist())
        bought = batch.events.behaviour == data.log.behaviours.index("buy")
        for slot in batch.events.slot[bought & batch.events.mask].tolist():
            assert data.texts.texts[rows[slot]].endswith(", with joy")
            carried += 1
        for slot in batch.events.slot[~bought & batch.events.mask].tolist():
            assert rows[slot] < data.log.n_items
    assert carried > 20


def test_draws_are_the_events_that_a_batch_touched_each_once(tmp_path):
    """An event that is asked after and answers another query was still drawn once."""
    seen = []

    class Recorded:
        def __call__(self, seen_items, draws, counts, rng):
            seen.append((len(seen_items), draws))
            return seen_items, np.zeros(len(seen_items))

    source = FixedSource(
        corpus([("u", f"i{k}", float(k)) for k in range(8)] + [("w", f"i{k}", float(k)) for k in range(4)])
    )
    data = small_module(tmp_path, source, candidates=Recorded(), users_per_step=10)
    epoch(data)
    # Training events: 6 of u, 2 of w; items i0 .. i5.
    assert seen == [(6, 8)]


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_steps_are_a_function_of_seed_and_epoch_and_hold_everyone(world):
    lengths = np.random.default_rng(0).integers(1, 50, size=23)
    steps = step_order(lengths, 5, seed=1, epoch=2, world=world)
    again = step_order(lengths, 5, seed=1, epoch=2, world=world)
    assert [step.tolist() for step in steps] == [step.tolist() for step in again]
    assert len(steps) % world == 0
    assert len(steps) - 5 < world
    assert sorted(np.concatenate(steps[:5]).tolist()) == list(range(23))
    assert all(step.tolist() == steps[k % 5].tolist() for k, step in enumerate(steps))
    for seed, number in ((1, 3), (2, 2)):
        other = step_order(lengths, 5, seed, number, world)
        assert [step.tolist() for step in steps] != [step.tolist() for step in other]


def test_users_of_a_step_have_similar_histories():
    lengths = np.random.default_rng(0).integers(1, 50, size=400)
    steps = step_order(lengths, 20, 0, 0, 1)
    assert np.mean([np.ptp(lengths[step]) for step in steps]) < 0.4 * np.ptp(lengths)
    assert len({tuple(sorted(step)) for epoch in range(3) for step in step_order(lengths, 20, 0, epoch, 1)}) == 60


def test_windows_by_hand():
    index, mask = windows(np.array([3, 7]), np.array([6, 8]))
    assert index.tolist() == [[3, 4, 5], [7, 7, 7]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]
    assert windows(np.array([3]), np.array([6]), width=4)[0].tolist() == [[3, 4, 5, 3]]


class Repeats:
    """A sampler that gives an item twice."""

    def __call__(self, seen, draws, counts, rng):
        return np.append(seen[:1], seen), np.zeros(len(seen) + 1)


def test_a_sampler_that_repeats_an_item_is_refused(tmp_path):
    data = data_module(tmp_path, "next", "batch")
    data.candidates = Repeats()
    with pytest.raises(ValueError, match="Repeats returned candidates that do not ascend"):
        next(iter(data.train_dataloader()))
