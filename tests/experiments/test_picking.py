"""Each row keeps the trial that validation prefers, whatever the test says."""

import json

import pytest

from experiments.tables.collect import collect
from experiments.tables.picking import pick
from experiments.tables.rows import TableError
from experiments.tabulate import main
from tests.experiments.fabricated import write_failed, write_run


def trial(root, strategy, rate, seed, valid, test=(0.5, 0.5)):
    words = [f"strategy={strategy}", f"rate={rate}", f"seed={seed}"]
    rates = {"low": 1e-4, "high": 1e-2}
    metrics = {"valid/ndcg@10": valid, "test/ndcg@10": sum(test) / 2, "test/hr@10": 1.0}
    return write_run(
        root,
        f"{strategy}-{rate}-{seed}",
        ndcg=test,
        strategy=strategy,
        seed=seed,
        overrides=words,
        changes={"rate": rate, "language_model_lr": rates[rate]},
        metrics=metrics,
    )


@pytest.fixture
def sweep(tmp_path):
    """LoRA: high is better in validation, low in the test; and high has two seeds more. full: low is better."""
    trial(tmp_path, "lora", "low", 0, valid=0.2, test=(0.9, 0.9))
    for seed, valid in enumerate((0.3, 0.0, 0.0)):
        trial(tmp_path, "lora", "high", seed, valid=valid, test=(0.4, 0.4))
    trial(tmp_path, "full", "low", 0, valid=0.25)
    trial(tmp_path, "full", "high", 0, valid=0.1)
    return tmp_path


def test_validation_decides_over_the_seeds_that_all_trials_have(sweep, capsys):
    assert main([str(sweep), "--pick", "rate", "--metrics", "test/ndcg@10"]) == 0
    lines = (sweep / "table.md").read_text().splitlines()
    rows = {
        tuple(cell.strip() for cell in line.split("|")[1:3]) for line in lines if line.startswith(("| lora", "| full"))
    }
    assert {("lora", "high"), ("full", "low")} <= rows
    assert any("among 2 trials of each row, never by the test" in line for line in lines)
    assert capsys.readouterr().err == ""


def test_unequal_budgets_are_said(sweep):
    trial(sweep, "pfeiffer", "low", 0, valid=0.2)
    assert main([str(sweep), "--pick", "rate", "--metrics", "test/ndcg@10"]) == 0
    assert "a row's trials (unequal: [1, 2])" in (sweep / "table.md").read_text()


def test_what_cannot_be_chosen_by_is_refused(sweep, capsys):
    assert main([str(sweep), "--pick", "rate", "--monitor", "test/ndcg@10"]) == 1
    assert "is not of validation" in capsys.readouterr().err
    assert main([str(sweep), "--pick", "rate", "--monitor", "valid/mrr"]) == 1
    assert "has no valid/mrr to choose by" in capsys.readouterr().err


def test_trials_without_a_common_seed_are_refused(tmp_path):
    trial(tmp_path, "lora", "low", 0, valid=0.2)
    trial(tmp_path, "lora", "high", 1, valid=0.3)
    with pytest.raises(TableError, match="no seed in common"):
        pick(collect([tmp_path]), ("strategy",), ("rate",), "valid/ndcg@10")


@pytest.mark.parametrize("first", ["low", "high"])
def test_what_is_not_a_number_is_the_worst(first, tmp_path):
    for rate in (first, *{"low", "high"} - {first}):
        trial(tmp_path / rate, "lora", rate, 0, valid=float("nan") if rate == first else 0.01)
    other = "low" if first == "high" else "high"
    runs = collect([tmp_path / first, tmp_path / other])
    (chosen,) = pick(runs, ("strategy",), ("rate",), "valid/ndcg@10").runs
    assert chosen.settings()["rate"] == other


def test_trials_that_gave_nothing_are_told_with_their_reason(sweep):
    words = ["strategy=lora", "rate=huge", "seed=0"]
    folder = write_failed(sweep, "lora-huge-0", "lora", 0, message="loss is not a number")
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(result | {"overrides": words}))
    picked = pick(collect([sweep]), ("strategy",), ("rate",), "valid/ndcg@10")
    spent = picked.trials["lora", "high"]
    assert (spent.count, spent.failed, [tried for tried, _ in spent.lost]) == (3, 1, ["rate=huge"])
    assert main([str(sweep), "--pick", "rate", "--metrics", "test/ndcg@10"]) == 0
    lines = (sweep / "table.md").read_text().splitlines()
    assert any("Trials without a result: 1 of lora, high." in line for line in lines)
    assert "- (a) rate=huge, seed 0 failed: OutOfMemoryError: loss is not a number." in lines
    assert any(line.startswith("| lora | high (a) |") for line in lines)
