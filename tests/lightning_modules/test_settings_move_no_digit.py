"""Law 1 on the trained model: an evaluated number does not depend on how users were dealt out. Equal means equal."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from datamodules.batching.loaders import block_loader
from datamodules.objectives.next import NextObjective
from datamodules.sources.simulator import SimulatorSource
from lightning_modules.evaluation import evaluate, rank
from lightning_modules.metrics.per_query import PerQuery
from lightning_modules.scorers.trained import TrainedScorer
from lightning_modules.strategies.lora import LoraStrategy
from tests.lightning_modules.composition import stirred
from tests.lightning_modules.small_model import PROTOCOL, lightning_module, small_data, small_model, trainer

WORLD = SimulatorSource(users=150, items=80, events=14, seed=6)


def data_module(root, bert, **settings):
    """Histories of up to 20 events, so that there are blocks of several widths."""
    return small_data(root, bert, WORLD, objective=NextObjective(20), **settings)


def scorer_of(data, bert, tokens_per_chunk=4096):
    model = stirred(small_model(data, bert, strategy=LoraStrategy() if bert else None))
    model.encoder.tokens_per_chunk = tokens_per_chunk
    scorer = TrainedScorer(model, data.log.n_items)
    scorer.prepare(data.items())
    return scorer


@pytest.fixture(scope="module", params=["ids", "text"])
def case(request, tmp_path_factory, tiny_bert):
    """Root, language model or none, and the table of the plainest evaluation."""
    root, bert = tmp_path_factory.mktemp(request.param), tiny_bert if request.param == "text" else None
    data = data_module(root, bert)
    assert len(data.blocks("test")) >= 3
    return root, bert, evaluate(scorer_of(data, bert), data.blocks("test"), data.log.n_items, PROTOCOL)


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, column in expected.items():
        np.testing.assert_array_equal(found[name], column)


@pytest.mark.parametrize(("users_per_step", "workers", "chunk"), [(1, 0, 4096), (50, 2, 4096), (8, 0, 60)])
def test_users_per_step_workers_and_chunks_move_no_digit(case, users_per_step, workers, chunk):
    root, bert, expected = case
    data = data_module(root, bert, users_per_step=users_per_step, num_workers=workers)
    same(evaluate(scorer_of(data, bert, chunk), data.test_dataloader(), data.log.n_items, PROTOCOL), expected)


@pytest.mark.parametrize("world", [2, 3])
def test_blocks_dealt_to_ranks_move_no_digit(case, world):
    root, bert, expected = case
    data = data_module(root, bert)
    collected = PerQuery(PROTOCOL.metrics)
    for place in reversed(range(world)):
        scorer = scorer_of(data, bert)  # each rank encodes the catalogue itself
        for block in block_loader(data.blocks("test"), place, world, 0):
            collected.update(rank(scorer, block, data.log.n_items, PROTOCOL))
    same(collected.table(), expected)


def test_the_trainer_finds_what_the_loop_finds(case):
    root, bert, expected = case
    data = data_module(root, bert)
    module = lightning_module(data, scorer_of(data, bert).model)
    found = trainer().test(module, datamodule=data, verbose=False)
    same(module.table("test"), expected)
    assert found[0]["test/ndcg@10"] == pytest.approx(expected["ndcg@10"].mean(), rel=1e-6)


def test_a_sample_ranks_its_queries_as_the_whole_does(case):
    root, bert, _ = case
    data = data_module(root, bert)
    scorer = scorer_of(data, bert)
    whole, part = (evaluate(scorer, data.blocks("valid", n), data.log.n_items, PROTOCOL) for n in (None, 50))
    assert len(part["query"]) == 50
    same(part, {name: column[np.isin(whole["query"], part["query"])] for name, column in whole.items()})


PROCESS = """
import json, sys
from pathlib import Path
from tests.lightning_modules.composition import stirred
from tests.lightning_modules.small_model import lightning_module, small_model, trainer
from tests.lightning_modules.test_settings_move_no_digit import data_module

data = data_module(Path(sys.argv[1]), None)
module = lightning_module(data, stirred(small_model(data)))
devices = int(sys.argv[2])
run = trainer(devices=devices, strategy="ddp" if devices > 1 else "auto")
run.validate(module, datamodule=data, verbose=False)
table = {name: column.tolist() for name, column in module.table("valid").items()}
mean = float(run.callback_metrics["valid/mrr@10"])
print(json.dumps({"mine": len(data.val_dataloader()), "table": table, "mean": mean}))
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def processes(root, repository, count):
    """What each of `count` processes of one evaluation prints."""
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "NODE_RANK": "0"}
    environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, "-c", PROCESS, str(root), str(count)]
    started = [
        subprocess.Popen(
            command, cwd=repository, text=True, stdout=subprocess.PIPE,
            env=environment | ({"LOCAL_RANK": str(rank)} if count > 1 else {}),
        )
        for rank in range(count)
    ]  # fmt: skip
    answers = [process.communicate(timeout=240)[0] for process in started]
    assert [process.returncode for process in started] == [0] * count
    return [json.loads(answer.splitlines()[-1]) for answer in answers]


@pytest.mark.slow
def test_two_real_processes_find_what_one_finds(tmp_path, repository):
    data_module(tmp_path, None).prepare_data()
    one, two = processes(tmp_path, repository, 1), processes(tmp_path, repository, 2)
    assert sum(answer["mine"] for answer in two) == one[0]["mine"]
    for answer in two:
        assert answer["table"] == one[0]["table"]
        assert answer["mean"] == one[0]["mean"]
    assert min(one[0]["table"]["rank"]) > 0
