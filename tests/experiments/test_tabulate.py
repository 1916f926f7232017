"""The program: what it prints, writes and refuses."""

import json
import subprocess
import sys

import pytest

from experiments.runs.provenance import ROOT
from experiments.tabulate import main
from tests.experiments.fabricated import (
    NDCG,
    config,
    few_labels,
    three_seeds,
    write_failed,
    write_json,
    write_run,
    write_sweep,
)
from tests.experiments.tabulated import refusal, row, table


def test_three_seeds_give_mean_and_deviation(tmp_path, capsys):
    # lora's seeds average .5, .4, .6: mean .5, deviation sqrt((0 + .01 + .01) / 2) = .1; full's .25, .15, .35.
    lines = table(capsys, three_seeds(tmp_path))
    assert "**0.5000 ± 0.1000**" in row(lines, "lora")
    assert "<u>0.2500 ± 0.1000</u>" in row(lines, "full")


def test_one_seed_gives_the_interval_of_its_result(tmp_path, capsys):
    write_run(tmp_path, "one")
    assert "0.5000 [0.2500, 0.7500]" in row(table(capsys, tmp_path / "one"), "one")


def test_two_seeds_give_an_interval_over_queries_of_their_mean(tmp_path, capsys):
    # Per query the two seeds average to .5 everywhere, so the interval has no width; each seed alone has one.
    write_run(tmp_path, "one", (0.9, 0.1, 0.5, 0.5), seed=0)
    write_run(tmp_path, "two", (0.1, 0.9, 0.5, 0.5), seed=1)
    assert "0.5000 [0.5000, 0.5000]" in row(table(capsys, tmp_path), "one")


def test_the_best_is_equal_to_what_is_within_noise_and_to_nothing_else(tmp_path, capsys):
    base = [0.02 * place for place in range(30)]
    # near loses 0.001 on average, in gains and losses of up to 0.15 that come in pairs; far loses 0.2 everywhere.
    for strategy, gain, noise in (("best", 0.2, 0.0), ("near", 0.199, 0.01), ("far", 0.0, 0.0)):
        values = [value + gain + noise * (place // 2 + 1) * (-1) ** place for place, value in enumerate(base)]
        write_run(tmp_path, strategy, values, strategy)
    lines = table(capsys, tmp_path, "--metrics", "test/ndcg@10")
    assert "**" in row(lines, "best")
    assert "</u> ≈" in row(lines, "near")
    assert "≈" not in row(lines, "far") + row(lines, "best")


def test_the_reference_is_compared_with_all(tmp_path, capsys):
    base = [0.02 * place for place in range(30)]
    for strategy, gain in (("full", 0.0), ("lora", 0.1), ("ia3", 0.2)):
        write_run(tmp_path, strategy, [value + gain for value in base], strategy)
    lines = table(capsys, tmp_path, "--metrics", "test/ndcg@10", "--reference", "full")
    # Two comparisons; each has 30 differences of one sign, so p is far below .001 also when doubled.
    compared = "| ia3 | full | test/ndcg@10 | 1 | +0.2000 | [+0.2000, +0.2000] | +inf | \\< 0.001 | \\< 0.001 |"
    assert any(line.startswith(compared) for line in lines)
    assert [name for name in ("full", "lora", "ia3") if "\\*" in row(lines, name)] == ["lora", "ia3"]
    assert any("different from full" in line for line in lines)


def test_cold_items_have_a_column_of_their_own(tmp_path, capsys):
    # Odd places are cold: (.1, .5, .2) of a and (.1, .2, .1) of b.
    for strategy, values in (("lora", NDCG["a"]), ("full", NDCG["b"])):
        write_run(tmp_path, strategy, values, strategy)
    lines = table(capsys, tmp_path, "--metrics", "test/cold/ndcg@10")
    assert "0.2667" in row(lines, "lora")
    assert "0.1333" in row(lines, "full")
    assert any("over 3 queries" in line for line in lines)


def test_cost_stands_beside_accuracy(tmp_path, capsys):
    write_run(tmp_path, "one")
    assert row(table(capsys, tmp_path), "one").endswith("| 73.7k | 0.33% | 1.50 GiB | 2 min 05 s | 2.31k | 293 KiB |")


def test_jobs_that_are_missing_are_rows_with_their_reason(tmp_path, capsys):
    write_run(tmp_path, "a")
    write_failed(tmp_path, "b", "ia3")
    (tmp_path / "c").mkdir()
    write_json(tmp_path / "c" / "config.json", config("bitfit"))
    jobs = [("a", ["strategy=lora"]), ("b", ["strategy=ia3"]), ("c", ["strategy=bitfit"]), ("d", ["strategy=prefix"])]
    lines = table(capsys, write_sweep(tmp_path, "four", [*jobs, (None, ["strategy=x"], "no such strategy\nTraceback")]))
    assert "| ia3 (a) | failed | failed | - |" in row(lines, "ia3")
    assert "- (a) seed 0 failed: OutOfMemoryError: CUDA out of memory." in lines
    assert "| bitfit (b) | unfinished |" in row(lines, "bitfit")
    assert "| prefix | not run | not run |" in row(lines, "prefix")
    assert "- (c) not run: no such strategy." in lines


def test_a_lost_seed_is_told(tmp_path, capsys):
    write_run(tmp_path, "a", seed=0)
    write_failed(tmp_path, "b", seed=1)
    lines = table(capsys, tmp_path)
    assert row(lines, "a (a)")
    assert "- (a) seed 1 failed: OutOfMemoryError: CUDA out of memory." in lines


def test_dirty_and_stale_rows_are_marked(tmp_path, capsys):
    write_run(tmp_path, "a", strategy="lora", provenance={"dirty": True, "source_digest": "other"})
    lines = table(capsys, tmp_path)
    assert "| a † ‡ |" in row(lines, "a †")
    assert any(line.startswith("- † made from a tree") for line in lines)
    assert any(line.startswith("- ‡ stale") for line in lines)


def test_different_data_are_refused_unless_mixed(tmp_path, capsys):
    write_run(tmp_path, "a", strategy="lora")
    write_run(tmp_path, "b", strategy="full", provenance={"data_digest": "e" * 16})
    said = refusal(capsys, tmp_path)
    assert "different prepared data: dddddddddddddddd (a); eeeeeeeeeeeeeeee (b)" in said
    assert "--mixed" in said
    lines = table(capsys, tmp_path, "--mixed")
    assert "**" not in row(lines, "lora")
    assert any("nothing was tested" in line for line in lines)


def test_different_protocols_are_refused(tmp_path, capsys):
    protocol = {"_target_": "lightning_modules.metrics.protocol.EvaluationProtocol", "mask_history": False}
    write_run(tmp_path, "a", strategy="lora")
    write_run(tmp_path, "b", strategy="full", changes={"metrics": protocol})
    assert "different evaluation protocol" in refusal(capsys, tmp_path)


def test_rows_of_different_queries_are_not_paired(tmp_path, capsys):
    write_run(tmp_path, "a", NDCG["a"], "lora")
    write_run(tmp_path, "b", NDCG["b"][:5], "full")
    assert "runs a and b were not asked the same queries (6 and 5)" in refusal(capsys, tmp_path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda run: (run / "result.json").write_text('{"status": "done",\n "met'),
            "result.json, line 2: damaged JSON",
        ),
        (lambda run: (run / "result.json").write_text("[]"), "result.json: holds a list where an object was expected"),
        (
            lambda run: (run / "result.json").write_text("{}"),
            "result.json: status is None; expected 'done' or 'failed'",
        ),
        (lambda run: (run / "queries-test.parquet").unlink(), "queries-test.parquet: absent, though the run is done"),
        (
            lambda run: (run / "queries-test.parquet").write_bytes(b"PAR1"),
            "queries-test.parquet: not a readable Parquet file",
        ),
    ],
)
def test_a_damaged_run_is_named_and_nothing_is_written(tmp_path, capsys, spoil, message):
    manifest = three_seeds(tmp_path)
    spoil(tmp_path / "lora-1")
    said = refusal(capsys, manifest)
    assert f"{tmp_path / 'lora-1'}/{message}" in said
    assert len(said.splitlines()) == 1
    assert list(manifest.parent.iterdir()) == [manifest]


def test_per_query_values_of_another_attempt_are_noticed(tmp_path, capsys):
    folder = write_run(tmp_path, "a", seed=0)
    other = write_run(tmp_path, "b", NDCG["b"], strategy="full")
    (other / "queries-test.parquet").replace(folder / "queries-test.parquet")
    assert "the files are of different attempts" in refusal(capsys, tmp_path, "--metrics", "test/ndcg@10")


def test_paths_without_runs_are_named(tmp_path, capsys):
    assert "holds no runs" in refusal(capsys, tmp_path)
    assert "no such file or folder" in refusal(capsys, tmp_path / "absent")
    write_json(tmp_path / "x.json", {"name": "x"})
    assert "x.json: no sweep manifest" in refusal(capsys, tmp_path / "x.json")


def test_a_misspelt_metric_gets_the_nearest(tmp_path, capsys):
    write_run(tmp_path, "a")
    assert "no run has the metric 'test/ndgc@10'; nearest: test/ndcg@10" in refusal(
        capsys, tmp_path, "--metrics", "test/ndgc@10"
    )


def test_the_file_goes_where_it_is_asked_and_is_named_last(tmp_path, capsys):
    manifest, out = three_seeds(tmp_path), tmp_path / "paper" / "table.tex"
    table(capsys, manifest, "--format", "latex", "--out", out)
    assert out.read_text(encoding="utf-8").count(r"\begin{tabular}") == 2
    main([str(manifest)])
    assert capsys.readouterr().out.splitlines()[-1] == str(manifest.with_suffix(".md"))


def test_nothing_heavy_is_imported():
    code = "import sys, json, experiments.tabulate; print(json.dumps(sorted(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "hydra", "pytorch_lightning", "ibis"} & set(json.loads(found.stdout))


def test_labels_that_follow_the_seed_make_one_row(tmp_path, capsys):
    for seed in range(2):
        words = ["strategy=lora", f"seed={seed}", "few_shot=share", "datamodule.few_shot.draw=${seed}"]
        write_run(tmp_path, f"a-{seed}", NDCG["a"], seed=seed, overrides=words, changes=few_labels(0.1, draw=seed))
        # As a YAML says it, no word does.
        write_run(tmp_path, f"b-{seed}", NDCG["b"], "full", seed, changes=few_labels(0.1, draw=seed))
    lines = table(capsys, tmp_path, "--by", "strategy")
    assert "0.5000" in row(lines, "lora")
    assert any("labels few_shot(share=0.1, draw=${seed})" in line for line in lines)


def test_a_run_that_adapts_a_language_model_is_no_row(tmp_path, capsys):
    write_run(tmp_path, "lora")
    config = {"adaptation": {"_target_": "lightning_modules.adaptations.masked.MaskedAdaptation"}, "seed": 0}
    write_run(tmp_path, "adapted", config=config, metrics={"valid/perplexity": 9.5}, overrides=["adaptation=masked"])
    lines = table(capsys, tmp_path)
    assert row(lines, "lora")
    assert not any(line.startswith("| adapted") for line in lines)
    assert "- Left out for having none of these metrics, though finished: adapted." in lines
    lines = table(capsys, tmp_path, "--metrics", "valid/perplexity")
    assert "9.5000" in row(lines, "adapted")


def test_what_trains_nothing_is_named_by_what_ranks(tmp_path, capsys):
    untrained = dict.fromkeys(("backbone", "loss", "head", "strategy"))
    scorer = {"scorer": {"_target_": "lightning_modules.scorers.popularity.PopularityScorer"}, "rate": "middle"}
    write_run(tmp_path, "a")
    write_run(tmp_path, "b", NDCG["b"], changes=untrained | scorer, overrides=["experiment=popularity"])
    lines = table(capsys, tmp_path, "--by", "strategy")
    assert [bool(row(lines, name)) for name in ("lora", "popularity")] == [True, True]


def test_what_a_kill_left_of_a_discarded_run_is_no_row(tmp_path, capsys):
    write_run(tmp_path, "a")
    write_run(tmp_path, ".a-discarded", seed=1)
    lines = table(capsys, tmp_path)
    assert any("Seeds: 0." in line for line in lines)


def test_whoever_reads_a_part_of_a_table_is_told_of_no_pipe(tmp_path):
    command = f"{sys.executable} -m experiments.tabulate {three_seeds(tmp_path)} | true"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_a_table_has_the_name_that_it_is_given(tmp_path, capsys):
    manifest = three_seeds(tmp_path)
    assert table(capsys, manifest)[0] == "**strategies**"
    assert table(capsys, manifest, "--title", "Which way is worth it?")[0] == "**Which way is worth it?**"


def test_slices_of_popularity_under_other_labels_have_no_best(tmp_path, capsys):
    for share, value in ((0.1, 0.2), (0.5, 0.4)):
        metrics = {"test/hr@10": value, "test/tail/hr@10": value}
        write_run(tmp_path, str(share), changes=few_labels(share), metrics=metrics)
    said = " ".join(table(capsys, tmp_path, "--metrics", "test/tail/hr@10"))
    assert "in test/tail/hr@10 nothing was tested, and no row is best" in said
    assert "**0.4" not in said
