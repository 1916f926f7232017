"""Files of published rows: those of conf/published, and what is refused of others."""

import pytest

from experiments.config.compose import compose
from experiments.corpus import prepared_of
from experiments.runs.read import Run
from experiments.tables import published
from experiments.tables.comparable import protocol_of
from experiments.tables.quoted import reproduced, require_alike
from experiments.tables.rows import Row, TableError

CORPORA = {"amazon_beauty": 8, "yelp": 5}
"""Name of the corpus, which is the file's too -> rows."""

REPRODUCE = {"PopRec": "popularity", "SASRec": "sasrec"}
"""Quoted model -> the experiment that reproduces it."""

GOOD = """
data_digests: [abc]
protocol: {split: {_target_: a.b.C}, metrics._target_: d.e.F, metrics.mask_history: true}
tolerance: 0.05
rows: [{model: M, metrics: {test/hr@10: 0.1}, source: S}]
"""


def run_of(experiment, corpus, digest):
    words = [f"experiment={experiment}", "datamodule=sequences", f"datamodule.source.name={corpus}"]
    made = compose(words)
    return Run("a", "done", config=made, provenance={"data_digest": digest})


def test_all_files_are_looked_at():
    assert published.names() == sorted(CORPORA)


@pytest.mark.parametrize("name", CORPORA)
def test_a_file_is_read_whole(name):
    (found,) = published.load([name])
    assert len(found.rows) == CORPORA[name]
    assert len({(row.model, row.source) for row in found.rows}) == len(found.rows)
    assert all(0 < one.mean < 1 for row in found.rows for one in row.metrics.values())
    assert all({"test/hr@10", "test/ndcg@10"} <= row.metrics.keys() for row in found.rows)


@pytest.mark.parametrize("name", CORPORA)
@pytest.mark.parametrize("model", REPRODUCE)
def test_our_experiment_is_the_model_that_it_reproduces(name, model):
    (found,) = published.load([name])
    run = run_of(REPRODUCE[model], name, found.data_digests[0])
    require_alike([found], [run])
    assert [row.model for row in reproduced(Row(("x",), (run,), ()), found)] == [model]
    assert {row.model for row in found.rows if row.ours} == set(REPRODUCE)


def test_another_model_reproduces_nothing():
    (found,) = published.load(["amazon_beauty"])
    run = run_of("interest_graph_hybrid", "amazon_beauty", found.data_digests[0])
    assert "leave_one_out" in protocol_of(run)
    assert reproduced(Row(("x",), (run,), ()), found) == []


@pytest.mark.parametrize("name", CORPORA)
def test_the_digest_is_of_the_corpus(name, tmp_path, data_dir):
    if not (data_dir / name).is_dir():
        pytest.skip(f"no {name} in {data_dir}")
    words = ["datamodule=sequences", f"datamodule.source.name={name}", f"data_dir={data_dir}", f"cache_dir={tmp_path}"]
    (found,) = published.load([name])
    assert prepared_of(compose(words)).digest in found.data_digests


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("tolerance: 0.05\n", "", "published/x.yaml: key 'tolerance' is missing"),
        ("tolerance: 0.05", "tolerence: 0.05", "published/x.yaml: unknown key 'tolerence'; there is: data_digests,"),
        ("tolerance: 0.05", "tolerance: 5", "published/x.yaml: tolerance: 5.0 is no share between 0 and 1"),
        ("[abc]", "[1234567890123456]", "published/x.yaml: data_digests: expected words (quote"),
        ("[abc]", "abc", "published/x.yaml: data_digests: expected a list"),
        (", metrics.mask_history: true", "", "published/x.yaml: protocol: key 'metrics.mask_history' is missing"),
        ("mask_history", "masks", "published/x.yaml: protocol: unknown key 'metrics.masks'"),
        (", source: S", "", "published/x.yaml: rows[0]: key 'source' is missing"),
        ("source: S", "source: S, year: 2020", "published/x.yaml: rows[0]: unknown key 'year'"),
        ("source: S", "source: S, ours: {}", "published/x.yaml: rows[0].ours: expected SETTING: VALUE pairs"),
        ("test/hr@10: 0.1", "", "published/x.yaml: rows[0].metrics: expected NAME: NUMBER pairs"),
        ("test/hr@10", "hr@10", "published/x.yaml: rows[0].metrics: 'hr@10' is no metric of a split"),
        ("0.1", "'0.1'", "published/x.yaml: rows[0].metrics.test/hr@10: expected a number, found '0.1'"),
        ("0.1", "{mean: 0.1}", "published/x.yaml: rows[0].metrics.test/hr@10: key 'deviation' is missing"),
        ("rows: [", "rows: []\nmore: [", "published/x.yaml: unknown key 'more'"),
        ("source: S}]", "source: S", "published/x.yaml: no YAML (while parsing"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_key(tmp_path, good, bad, message):
    path = tmp_path / "published" / "x.yaml"
    path.parent.mkdir()
    path.write_text(GOOD)
    assert published.read(path).rows[0].model == "M"
    assert GOOD.count(good)
    path.write_text(GOOD.replace(good, bad))
    with pytest.raises(TableError) as fault:
        published.read(path)
    assert str(fault.value).startswith(message)
    assert "\n" not in str(fault.value)
