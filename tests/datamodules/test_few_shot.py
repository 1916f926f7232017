"""Few labels: nested, drawn by a seed of their own, all that anything is fitted on; evaluation stays as it was."""

from dataclasses import fields, is_dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.batching.log import training_mask
from datamodules.candidates.batch import BatchCandidates
from datamodules.candidates.sampled import SampledCandidates
from datamodules.corpus import DataError
from datamodules.few_shot import FewEvents, FewShot, FewUsers, ShareOfUsers
from datamodules.objectives.last import LastObjective
from datamodules.splits.given import GivenSplit
from datamodules.splits.leave_one_out import LeaveOneOutSplit
from datamodules.splits.temporal import TemporalSplit
from lightning_modules.parts.prior import make_prior
from lightning_modules.scorers.popularity import PopularityScorer
from tests.datamodules.small_corpus import FixedSource, corpus, prepared
from tests.datamodules.small_module import epoch, small_module

KEYS = [f"i{k:02}" for k in range(30)]
USERS = 40
SPLITS = {"leave_one_out": LeaveOneOutSplit(), "temporal": TemporalSplit(0.2, 0.2), "given": GivenSplit()}


def events(other=0, changed=()):
    """USERS users of 4 to 12 events; `other` seeds the items, kinds and strengths of the users in `changed`."""
    made = []
    for user in range(USERS):
        rng = np.random.default_rng([user, other if user in changed else 0])
        count = int(np.random.default_rng(user).integers(4, 13))
        for k in range(count):
            kind, mark = str(rng.choice(["buy", "view"])), ["train", "valid", "test"][max(0, k - count + 3)]
            item = KEYS[int(rng.integers(30))]
            made.append((f"u{user:02}", item, 100.0 * k + user, kind, float(rng.integers(9)), mark))
    return made


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("few")


@pytest.fixture(scope="module")
def small(root):
    return prepared(root, events(), keys=KEYS)


def module(root, few_shot=None, made=None, **parts):
    source = FixedSource(corpus(made or events(), keys=KEYS), setting=str(hash(str(made))))
    parts = {"candidates": SampledCandidates(5), "users_per_step": 8} | parts
    return small_module(root, source, few_shot=few_shot, **parts)


def kept(small, split, rule):
    """Flat indices of the training events that a rule leaves."""
    return np.flatnonzero(training_mask(small.offsets, rule(small, split).train_stop))


def tensors(record):
    if isinstance(record, Tensor):
        return [record]
    return [t for f in fields(record) for t in tensors(getattr(record, f.name))] if is_dataclass(record) else []


LADDERS = {
    "users": [FewUsers(n) for n in (1, 2, 7, 20, 30)],
    "shares": [ShareOfUsers(share) for share in (0.01, 0.05, 0.2, 0.55, 1.0)],
    "another draw": [ShareOfUsers(share, draw=5) for share in (0.01, 0.05, 0.2, 0.55, 1.0)],
    "events": [FewEvents(k) for k in (1, 2, 3, 5, 50)],
}


@pytest.mark.parametrize("split", sorted(SPLITS))
@pytest.mark.parametrize("ladder", sorted(LADDERS))
def test_fewer_labels_are_among_more(ladder, split, small):
    made = SPLITS[split](small)
    sets = [set(kept(small, made, rule)) for rule in LADDERS[ladder]]
    assert all(few < more for few, more in pairwise(sets))
    assert len(sets[0]) > 0
    assert sets[-1] <= set(np.flatnonzero(training_mask(small.offsets, made.train_stop)))


@pytest.mark.parametrize("rule", [FewUsers(USERS), ShareOfUsers(1.0), FewEvents(100)])
def test_all_labels_are_the_split_itself(rule, small):
    split = LeaveOneOutSplit()(small)
    np.testing.assert_array_equal(rule(small, split).train_stop, split.train_stop)


@pytest.mark.parametrize("rule", [FewUsers(7), ShareOfUsers(0.2, draw=3), FewEvents(3)])
@pytest.mark.parametrize("split", sorted(SPLITS))
def test_only_the_end_of_training_moves(rule, split, small):
    whole = SPLITS[split](small)
    before = whole.train_stop.copy()
    few = rule(small, whole)
    assert few.queries["test"] is whole.queries["test"]
    np.testing.assert_array_equal(whole.train_stop, before)  # what was given is left as it is
    assert isinstance(rule, FewShot)
    if isinstance(rule, FewEvents):
        np.testing.assert_array_equal(few.train_stop - small.offsets[:-1], (before - small.offsets[:-1]).clip(max=3))
    else:
        chosen = few.train_stop > small.offsets[:-1]
        np.testing.assert_array_equal(few.train_stop, np.where(chosen, before, small.offsets[:-1]))
        assert chosen.sum() == (7 if isinstance(rule, FewUsers) else round(0.2 * (before > small.offsets[:-1]).sum()))


@pytest.mark.parametrize("split", sorted(SPLITS))
def test_validation_asks_the_users_with_labels_alone(split, small):
    """An answer that chooses the epoch is a label."""
    whole = SPLITS[split](small)
    few = FewUsers(7)(small, whole)
    labelled = np.flatnonzero(few.train_stop > small.offsets[:-1])
    asked, all_asked = few.queries["valid"], whole.queries["valid"]
    assert 0 < len(asked.user) < len(all_asked.user)
    rows = np.flatnonzero(np.isin(all_asked.user, labelled))
    np.testing.assert_array_equal(asked.user, all_asked.user[rows])
    np.testing.assert_array_equal(asked.stop, all_asked.stop[rows])
    for place, row in enumerate(rows):
        ours = asked.events[asked.offsets[place] : asked.offsets[place + 1]]
        np.testing.assert_array_equal(ours, all_asked.events[all_asked.offsets[row] : all_asked.offsets[row + 1]])
    assert FewEvents(3)(small, whole).queries is whole.queries


def test_labels_that_leave_nothing_to_choose_by_are_refused(tmp_path):
    """Of two users one is asked nothing in validation, and some draws leave that one."""
    marks = {"u": ("train", "train", "train", "test"), "v": ("train", "train", "valid", "test")}
    made = [(user, KEYS[k], float(k), "view", None, marks[user][k]) for user in marks for k in range(4)]
    refused = []
    for draw in range(8):
        data = module(tmp_path, FewUsers(1, draw), made, split=GivenSplit())
        try:
            assert len(data.split_of.queries["valid"].user) == 1
        except DataError as fault:
            refused.append(str(fault))
    assert 0 < len(refused) < 8
    assert all("validation asks none of the users that few_shot leaves" in said for said in refused)


def test_a_share_is_so_many_users_of_the_same_order(small):
    split = LeaveOneOutSplit()(small)
    np.testing.assert_array_equal(kept(small, split, ShareOfUsers(0.05)), kept(small, split, FewUsers(2)))
    assert len(kept(small, split, ShareOfUsers(1e-9))) > 0  # at least one user


def test_a_draw_is_a_seed_of_its_own(small, root):
    split = LeaveOneOutSplit()(small)
    draws = [tuple(kept(small, split, FewUsers(5, draw))) for draw in (0, 0, 1, 2)]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3
    logs = [module(root, FewUsers(5), seed=seed).log for seed in (0, 1)]
    np.testing.assert_array_equal(logs[0].train_stop, logs[1].train_stop)


def test_users_without_training_events_are_not_drawn(tmp_path):
    """Of ten users eight have nothing but validation and test."""
    marks = [("train" if user < 2 else "valid", "valid", "test") for user in range(10)]
    made = [(f"u{u}", KEYS[k], float(k), "view", None, marks[u][k]) for u in range(10) for k in range(3)]
    ten = prepared(tmp_path, made, keys=KEYS)
    split = GivenSplit()(ten)
    for draw in range(5):
        few = FewUsers(1, draw)(ten, split)
        assert (few.train_stop - ten.offsets[:-1]).sum() == 1
    assert len(kept(ten, split, ShareOfUsers(0.5))) == 1
    with pytest.raises(
        DataError, match=r"few_shot.users is 3, and 'small' has 2 users with training events; ask for f"
    ):
        FewUsers(3)(ten, split)


@pytest.mark.parametrize("rule", [FewUsers(6), ShareOfUsers(0.3, draw=1), FewEvents(3)])
def test_evaluation_stays_as_it_was(rule, root):
    """Who is asked, the whole history, the answers; kinds and strengths are fitted on training and may be read anew."""
    whole, few = module(root), module(root, rule)
    for name in ("valid", "test") if isinstance(rule, FewEvents) else ("test",):
        first, second = list(whole.blocks(name)), list(few.blocks(name))
        assert len(first) == len(second) > 0
        assert sum(int((block.query >= 0).sum()) for block in second) == USERS
        for a, b in zip(first, second, strict=True):
            same = [(getattr(x, f), getattr(y, f)) for x, y in ((a, b), (a.events, b.events)) for f in vars(x)
                    if f not in ("events", "behaviour", "strength")]  # fmt: skip
            pairs = [pair for x, y in same for pair in zip(tensors(x), tensors(y), strict=True)]
            assert len(pairs) == 10
            assert all(torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("rule", [FewUsers(6), FewEvents(3)])
def test_what_is_fitted_sees_the_labels_alone(rule, root):
    data, whole = module(root, rule), module(root)
    split = LeaveOneOutSplit()(data.prepared)
    labels = kept(data.prepared, split, rule)
    counts = np.bincount(data.prepared.item[labels], minlength=len(KEYS))
    assert data.item_counts.tolist() == counts.tolist()
    assert 0 < counts.sum() < int(whole.item_counts.sum())
    scorer = PopularityScorer()
    scorer.fit(data.log.training(), data.items())
    assert scorer.counts.tolist() == counts.tolist()
    assert torch.equal(make_prior("popularity", data.item_counts).log_share,
                       make_prior("popularity", torch.from_numpy(counts)).log_share)  # fmt: skip
    known = np.log1p(np.asarray(data.prepared.strength)[labels].astype(np.float64))
    expected = (np.log1p(data.prepared.strength) - known.mean()) / known.std()
    np.testing.assert_allclose(data.log.strength, expected, atol=1e-5)
    assert set(data.examples.target) <= set(labels)


def test_popularity_of_some_users_is_that_of_a_log_without_the_others(root):
    data = module(root, FewUsers(6))
    chosen = np.flatnonzero(data.log.train_stop > data.log.offsets[:-1])
    alone = module(root, made=[event for event in events() if int(event[0][1:]) in chosen])
    assert len(alone.prepared.users) == 6
    assert data.prepared.item_keys == alone.prepared.item_keys
    assert torch.equal(data.item_counts, alone.item_counts)
    assert len(data.examples.target) == len(alone.examples.target)


@pytest.mark.parametrize("objective", ["next", "last"])
@pytest.mark.parametrize("candidates", [SampledCandidates(5), BatchCandidates()])
def test_training_is_the_same_whatever_the_other_users_did(candidates, objective, root):
    """Two corpora that differ in unlabelled users alone: batches of an epoch, log-q included, are equal bit for bit."""
    chosen = np.flatnonzero(module(root, FewUsers(6)).log.train_stop > module(root).log.offsets[:-1])
    others = set(range(USERS)) - set(chosen.tolist())
    parts = {"candidates": candidates} | ({"objective": LastObjective(6)} if objective == "last" else {})
    pair = [module(root, FewUsers(6), events(other, others), **parts) for other in (0, 1)]
    assert pair[0].prepared.digest != pair[1].prepared.digest
    assert not torch.equal(*(data.blocks("test")[0].positives for data in pair))  # or a corpus is compared with itself
    batches = [epoch(data) for data in pair]
    assert len(batches[0]) == len(batches[1]) > 0
    for first, second in zip(*batches, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(tensors(first), tensors(second), strict=True))
        assert set(first.events.user.tolist()) <= set(chosen.tolist())


def test_one_event_is_something_to_count_and_nothing_to_ask(root):
    data = module(root, FewEvents(1))
    assert int(data.item_counts.sum()) == USERS
    with pytest.raises(DataError, match=r"no user of 'small' has 2 training events.* leave more labels to few_shot"):
        _ = data.examples


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: FewUsers(0), "few_shot.users is 0; training needs the labels of at least 1 user"),
        (lambda: FewUsers(1, draw=-1), "few_shot.draw is -1"),
        (lambda: ShareOfUsers(0.0), r"few_shot.share is 0.0; a share of the users lies above 0 and is at most 1"),
        (lambda: ShareOfUsers(1.01), "few_shot.share is 1.01"),
        (lambda: ShareOfUsers(float("nan")), "few_shot.share is nan"),
        (lambda: ShareOfUsers(0.5, draw=-2), "few_shot.draw is -2"),
        (lambda: FewEvents(0), "few_shot.events is 0; at least 1 training event of each user is kept"),
    ],
)
def test_faults_are_named(make, says):
    with pytest.raises(ValueError, match=says):
        make()
