"""Approximate lists of a run: what the program says, the index in the cache, and faults."""

import json
import re
import sys
import threading

import pytest

from experiments import load
from experiments.asking import approximate
from experiments.asking.approximate import SAMPLE, key, retriever, sample
from experiments.recommend import main
from lightning_modules.types import Pool

SAID = (
    r"approximate lists hold [\d.]+% of the exact ones \(recall@5 of 60 users of the corpus, "
    r"95% interval [\d.]+% to [\d.]+%\)\n"
)


def call(capsys, *words):
    """Exit status, standard output, standard error; what was printed before, such as by a training, is dropped."""
    capsys.readouterr()
    status = main([str(word) for word in words])
    return status, *capsys.readouterr()


def test_the_program_says_what_the_lists_miss_and_keeps_the_index(own_cache, tmp_path, capsys):
    folder, cache = own_cache("graph"), tmp_path / "cache" / "retrieval"
    words = (folder, "--user", "u3", "-k", 5, "--json", "--approximate")
    status, printed, told = call(capsys, *words)
    assert status == 0
    assert re.fullmatch(SAID, told)
    (index,) = cache.glob("*.usearch")
    written = index.stat().st_mtime_ns
    assert call(capsys, *words) == (0, printed, told)
    assert index.stat().st_mtime_ns == written
    run = load(folder)
    listed = [one["item"] for one in json.loads(printed)["users"][0]["recommended"]]
    assert listed == [one.item for one in run.answers(run.question("u3"), 5, approximate=True)[0].recommended]


@pytest.mark.parametrize("name", ["graph", "attention", "sasrec"])
def test_where_everything_is_near_the_lists_are_the_exact_ones(name, tiny_runs):
    """A catalogue of 60 items, of which a node brings 60 that are new."""
    run = load(tiny_runs(name))
    run.retriever.per_node = 60
    found = run.recall(k=5)
    assert (found.k, found.users, found.mean, found.interval) == (5, 60, 1.0, (1.0, 1.0))
    questions = run.question("u7")
    exact, approximate = (run.answers(questions, 5, approximate=given)[0].recommended for given in (False, True))
    assert [(one.place, one.item) for one in approximate] == [(one.place, one.item) for one in exact]
    assert [one.score for one in approximate] == pytest.approx([one.score for one in exact], abs=1e-5)


def test_an_index_is_known_by_all_that_makes_it(tiny_runs, monkeypatch):
    pool = load(tiny_runs("sasrec")).scorer.pool
    known = key(pool)
    turned = Pool(pool.vectors.T.contiguous().T, pool.prior)
    assert key(turned) == known
    others = [key(Pool(pool.vectors + 1.0, pool.prior)), key(Pool(pool.vectors.reshape(-1, 32), pool.prior.repeat(2)))]
    for name, value in {"connectivity": 8, "expansion_add": 32, "dtype": "f32", "metric": "cos"}.items():
        with monkeypatch.context() as patch:
            patch.setitem(approximate.SETTINGS, name, value)
            others.append(key(pool))
    for name, value in {"EPOCH": 0, "version": lambda package: "0"}.items():
        with monkeypatch.context() as patch:
            patch.setattr(approximate, name, value)
            others.append(key(pool))
    assert len({known, *others}) == 9


def test_who_wants_the_same_index_at_once_gets_the_one_that_is_made(tiny_runs, tmp_path, monkeypatch):
    scorer = load(tiny_runs("sasrec")).scorer
    build, made, found = approximate.build_index, [], []

    def slowly(pool):
        made.append(pool)
        threading.Event().wait(0.1)
        return build(pool)

    monkeypatch.setattr(approximate, "build_index", slowly)
    jobs = [threading.Thread(target=lambda: found.append(retriever(scorer, tmp_path))) for _ in range(3)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert (len(found), len(made)) == (3, 1)
    assert all(one.pool is scorer.pool for one in found)  # held once


def test_the_sample_is_the_same_each_time_and_at_most_all(tiny_runs):
    users = load(tiny_runs("sasrec")).data.prepared.users
    assert sample(users) == list(users)
    many = [f"u{user}" for user in range(1000)]
    assert sample(many) == sample(many)
    assert len(set(sample(many))) == SAMPLE


@pytest.mark.parametrize("name", ["popularity", "oracle"])
def test_a_closed_form_has_no_interests_to_look_near(name, tiny_runs, capsys):
    status, printed, told = call(capsys, tiny_runs(name), "--user", "u3", "--approximate")
    assert (status, printed) == (1, "")
    assert "has no model with interests" in told


def test_without_the_package_the_extra_is_named(tiny_runs, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    status, printed, told = call(capsys, tiny_runs("sasrec"), "--user", "u3", "--approximate")
    assert (status, printed) == (1, "")
    assert told == "recommend: approximate lists need usearch: pip install 'interestlab[retrieval]'\n"


def test_an_index_that_was_cut_short_is_named_and_made_anew_once_removed(own_cache, tmp_path, capsys):
    folder, cache = own_cache("sasrec"), tmp_path / "cache" / "retrieval"
    words = (folder, "--user", "u3", "-k", 5, "--approximate")
    whole = call(capsys, *words)
    (index,) = cache.glob("*.usearch")
    index.write_bytes(index.read_bytes()[:100])
    status, printed, told = call(capsys, *words)
    assert (status, printed) == (1, "")
    assert told.startswith(f"recommend: {index}: no index can be read: ")
    assert told.endswith("remove the file, and it is made anew\n")
    index.unlink()
    assert call(capsys, *words) == whole
