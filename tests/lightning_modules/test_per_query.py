"""Law 1. A mean over queries does not know how the queries were dealt out: to blocks, to processes, once or twice."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torchmetrics.utilities import dim_zero_cat

from datamodules.types import Ranking
from lightning_modules.metrics.hit_rate import HitRateMetric
from lightning_modules.metrics.mrr import MrrMetric
from lightning_modules.metrics.ndcg import NdcgMetric
from lightning_modules.metrics.per_query import PerQuery

METRICS = (NdcgMetric(10), MrrMetric(10), HitRateMetric(3))


def ranking(queries):
    """Query q has its one positive on rank 1 + q mod 13."""
    query = torch.tensor(queries, dtype=torch.long)
    ranks = 1 + query[:, None] % 13
    empty = torch.empty(len(query), 0)
    return Ranking(query, ranks, torch.ones(len(query), 1), torch.full_like(query, 99), empty.long(), empty)


def collected(*blocks):
    metric = PerQuery(METRICS)
    for block in blocks:
        metric.update(ranking(block))
    return metric


WHOLE = collected(list(range(100)))


@pytest.mark.parametrize("size", [1, 7, 33, 100])
def test_size_and_order_of_blocks_move_no_digit(size):
    order = np.random.default_rng(size).permutation(100).tolist()
    metric = collected(*[order[start : start + size] for start in range(0, 100, size)])
    assert metric.compute() == WHOLE.compute()


def test_a_query_that_comes_twice_counts_once():
    repeated = collected(list(range(100)), [3, 3, 7], list(range(50)))
    assert repeated.compute() == WHOLE.compute()
    assert repeated.table()["query"].tolist() == list(range(100))


def test_the_table_holds_rank_and_metrics_by_query():
    table = collected([5, 2], [14]).table()
    assert list(table) == ["query", "rank", "ndcg@10", "mrr@10", "hr@3"]
    assert table["query"].tolist() == [2, 5, 14]
    assert table["rank"].tolist() == [3, 6, 2]
    np.testing.assert_allclose(table["mrr@10"], [1 / 3, 1 / 6, 1 / 2], rtol=1e-6)
    assert table["hr@3"].tolist() == [1, 0, 1]


def test_a_second_pass_starts_empty():
    metric = collected([0, 1, 2])
    metric.reset()
    metric.update(ranking([12]))
    assert metric.table()["query"].tolist() == [12]


def test_no_query_is_no_mean():
    with pytest.raises(ValueError, match="no query was ranked"):
        collected([]).table()


@pytest.mark.parametrize("share", [0, 1, 60, 100])
def test_two_halves_joined_as_two_processes_join_them(share):
    """The second process repeats five queries, as a distributed sampler does to fill up; one may have none at all."""
    halves = collected(list(range(share))), collected([*range(share, 100), *range(min(share, 5))])
    joined = PerQuery(METRICS)
    for state in ("query", "rank", "values"):
        setattr(joined, state, dim_zero_cat([dim_zero_cat(getattr(half, state)) for half in halves]))
    joined._update_count = 1
    assert joined.compute() == WHOLE.compute()


PROCESS = """
import json, sys
import torch
from datamodules.types import Ranking
from lightning_modules.metrics.mrr import MrrMetric
from lightning_modules.metrics.ndcg import NdcgMetric
from lightning_modules.metrics.per_query import PerQuery

me, store, shares = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=me, world_size=2)
found = []
for share in shares:
    metric = PerQuery([NdcgMetric(10), MrrMetric(10)])
    if share[me]:
        query = torch.tensor(share[me])
        empty = torch.empty(len(query), 0)
        metric.update(Ranking(query, 1 + query[:, None] % 13, torch.ones(len(query), 1), query, empty.long(), empty))
    found.append({"means": metric.compute(), "queries": metric.table()["query"].tolist()})
torch.distributed.destroy_process_group()
print(json.dumps(found))
"""


@pytest.mark.slow
def test_two_real_processes_find_what_one_finds(tmp_path, repository):
    everything = list(range(100))
    shares = [[everything[::2], [*everything[1::2], 0, 2]], [everything, []]]
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROCESS]
    started = [
        subprocess.Popen(
            [*command, str(me), str(tmp_path / "store"), json.dumps(shares)],
            cwd=repository, env=environment, stdout=subprocess.PIPE, text=True,
        )
        for me in range(2)
    ]  # fmt: skip
    answers = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    expected = {name: value for name, value in WHOLE.compute().items() if name != "hr@3"}
    for answer in answers:
        for found in json.loads(answer.splitlines()[-1]):
            assert found["means"] == expected
            assert found["queries"] == everything
