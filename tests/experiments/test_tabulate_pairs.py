"""Which rows are compared, over what, and what is said where they are not."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from tests.experiments.fabricated import NDCG, few_labels, write_json, write_run
from tests.experiments.tabulated import refusal, row, table


def test_rows_of_unequal_seeds_are_compared_over_those_that_both_have(tmp_path, capsys):
    # Over seed 0 the rows are equal on each query; seeds 1 and 2 of lora are better everywhere.
    base = [0.02 * place for place in range(30)]
    for seed, gain in enumerate((0.0, 0.3, 0.3)):
        write_run(tmp_path, f"lora-{seed}", [value + gain for value in base], "lora", seed)
    write_run(tmp_path, "full-0", base, "full", 0)
    lines = table(capsys, tmp_path, "--metrics", "test/ndcg@10")
    assert (
        "| full | lora | test/ndcg@10 | 1 | +0.0000 | [+0.0000, +0.0000] | +0.00 | 1.000 | 1.000 | 1.000 | 0.0000 |"
        in lines
    )
    assert "≈" in row(lines, "full")
    assert any("(of each the mean over the seeds that both rows have: 1)" in line for line in lines)


def test_rows_without_a_common_seed_are_not_tested_and_that_is_said(tmp_path, capsys):
    write_run(tmp_path, "a", NDCG["a"], "lora", 0)
    write_run(tmp_path, "b", NDCG["b"], "full", 1)
    lines = table(capsys, tmp_path, "--metrics", "test/ndcg@10")
    assert "- Untested for having no seed in common: full against lora." in lines
    assert "≈" not in row(lines, "full")
    assert not any("Wilcoxon" in line for line in lines)


def test_beside_a_named_row_the_best_is_compared_in_a_table_of_its_own(tmp_path, capsys):
    """Every mark has its p somewhere; where the named row is the best, once."""
    for name, shift in (("lora", 0.2), ("full", 0.1), ("frozen", 0.0)):
        write_run(tmp_path, name, [value + shift for value in NDCG["b"]], name)

    def against(reference):
        lines = table(capsys, tmp_path, "--metrics", "test/ndcg@10", "--reference", reference)
        pairs = [line.split(" | ")[:2] for line in lines if "| test/ndcg@10 | 1 |" in line]
        return [title for title in lines if title.startswith("**Paired")], [(a.strip("| "), b) for a, b in pairs]

    titles, pairs = against("frozen")
    assert titles == ["**Paired differences**", "**Paired differences from the best**"]
    assert pairs == [("full", "frozen"), ("lora", "frozen"), ("frozen", "lora"), ("full", "lora")]
    assert against("lora") == (["**Paired differences**"], [("frozen", "lora"), ("full", "lora")])


def of_shares(root, second=0.2):
    """Two rows of other labels, of which the second knows of one cold item less."""
    write_run(root, "a", NDCG["a"], overrides=["x=a"], changes=few_labels(0.1))
    folder = write_run(root, "b", NDCG["b"], overrides=["x=b"], changes=few_labels(second))
    queries = pq.read_table(folder / "queries-test.parquet")
    cold = [place in (1, 3) for place in range(6)]
    pq.write_table(queries.set_column(2, "cold", pa.array(cold)), folder / "queries-test.parquet")
    result = json.loads((folder / "result.json").read_text())
    result["metrics"]["test/cold/ndcg@10"] = (NDCG["b"][1] + NDCG["b"][3]) / 2
    write_json(folder / "result.json", result)


def test_cold_items_of_other_labels_are_measured_and_not_paired(tmp_path, capsys):
    of_shares(tmp_path)
    lines = table(capsys, tmp_path, "--by", "x", "--metrics", "test/ndcg@10", "test/cold/ndcg@10")
    assert "| 0.2667 [0.1000, 0.5000] |" in row(lines, "a")
    assert "| 0.1500 [0.1000, 0.2000] |" in row(lines, "b")
    (said,) = [line for line in lines if line.startswith("- Labels decide which items are cold")]
    assert "so in test/cold/ndcg@10 nothing was tested" in said
    assert [any(f"| b | a | test/{name}ndcg@10 |" in line for line in lines) for name in ("", "cold/")] == [True, False]


def test_cold_items_of_the_same_labels_have_to_be_the_same(tmp_path, capsys):
    of_shares(tmp_path, second=0.1)
    said = refusal(capsys, tmp_path, "--by", "x", "--metrics", "test/cold/ndcg@10")
    assert "runs a and b were not asked the same queries (3 and 2)" in said


def test_validation_of_some_users_is_not_paired_with_that_of_others(tmp_path, capsys):
    for name, share, ndcg in (("a", 0.1, (0.5, 0.5)), ("b", 0.2, (0.25, 0.5, 0.75))):
        folder = write_run(tmp_path, name, ndcg, overrides=[f"x={name}"], changes=few_labels(share))
        (folder / "queries-test.parquet").rename(folder / "queries-valid.parquet")
        metrics = {"metrics": {"valid/ndcg@10": 0.5}}
        write_json(folder / "result.json", json.loads((folder / "result.json").read_text()) | metrics)
    lines = table(capsys, tmp_path, "--by", "x", "--metrics", "valid/ndcg@10")
    assert any("in valid/ndcg@10 nothing was tested" in line for line in lines)
    assert "**" not in row(lines, "a") + row(lines, "b")


def test_seeds_that_are_not_the_same_in_all_rows_are_named_with_how_many_have_them(tmp_path, capsys):
    for name, seeds in (("lora", 3), ("full", 1), ("frozen", 1)):
        for seed in range(seeds):
            write_run(tmp_path, f"{name}-{seed}", NDCG["a"], name, seed)
    lines = table(capsys, tmp_path, "--metrics", "test/ndcg@10")
    assert any("Seeds: 0 (2 rows); 0, 1, 2 (1 row)." in line for line in lines)


def test_seconds_of_one_thread_and_of_two_are_said_not_to_compare(tmp_path, capsys):
    for name, threads in (("lora", 1), ("full", 2)):
        write_run(tmp_path, name, NDCG["a"], name, provenance={"hardware": "a machine", "threads": threads})
    lines = table(capsys, tmp_path, "--metrics", "test/ndcg@10")
    (said,) = [line for line in lines if line.startswith("- Cost was measured")]
    assert "(a machine, 1 thread; a machine, 2 threads)" in said
