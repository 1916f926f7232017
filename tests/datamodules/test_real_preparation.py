"""Real corpora, prepared and split: counts that their owners or an independent count give."""

import numpy as np
import pytest

from datamodules.preparing.preparation import Filters, prepare
from datamodules.sources.atomic import AtomicSource
from datamodules.sources.movielens import MovielensSource
from datamodules.sources.sequences import SequencesSource
from datamodules.splits.leave_one_out import LeaveOneOutSplit
from datamodules.splits.temporal import TemporalSplit
from datamodules.text.template import TemplateText

# users, items, interactions as the owners count them; latest-small lists 18 films that nobody rated
CORPORA = {
    "ml-latest-small": (lambda folder: MovielensSource("latest-small", str(folder)), 610, 9742, 100_836),
    "ml-100k": (lambda folder: AtomicSource("ml-100k", str(folder)), 943, 1682, 100_000),
    "amazon_beauty": (lambda folder: SequencesSource("amazon_beauty", str(folder)), 22_363, 12_101, 198_502),
}


@pytest.mark.parametrize("name", CORPORA)
def test_a_real_corpus_is_prepared_whole(tmp_path, data_dir, name):
    source, users, items, events = CORPORA[name]
    p = prepare(source(data_dir), Filters(), tmp_path)
    assert (p.report["users"], p.report["items"], p.report["events"]) == (users, items, events)
    split = LeaveOneOutSplit()(p)
    assert len(split.queries["test"].user) == users - p.report["short_users"]
    texts = TemplateText(missing="unknown")(p).texts
    assert len(texts) == items
    assert len(set(texts)) > 0.9 * items


def test_ties_in_time_are_counted(tmp_path, data_dir):
    """94 of 610 users of latest-small have another event at the time of their last, by an independent count."""
    p = prepare(MovielensSource("latest-small", str(data_dir)), Filters(), tmp_path)
    assert p.report["tied_last"] == 94
    assert p.report["items_without_events"] == 18


def test_a_temporal_split_of_real_times_keeps_its_shares(tmp_path, data_dir):
    p = prepare(MovielensSource("latest-small", str(data_dir)), Filters(), tmp_path)
    split = TemporalSplit()(p)
    trained = int((split.train_stop - p.offsets[:-1]).sum())
    assert trained == pytest.approx(0.8 * len(p.item), rel=1e-3)
    assert len(split.queries["test"].user) > 5
    assert p.time[split.queries["test"].events].min() > np.max(p.time[split.queries["valid"].events])
