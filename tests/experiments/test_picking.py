"""Each row keeps the trial that validation prefers, whatever the test says."""

import pytest

from experiments.tables.picking import pick
from experiments.tables.rows import TableError
from experiments.tabulate import main
from tests.experiments.fabricated import write_run


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
    from experiments.tables.collect import collect

    trial(tmp_path, "lora", "low", 0, valid=0.2)
    trial(tmp_path, "lora", "high", 1, valid=0.3)
    with pytest.raises(TableError, match="no seed in common"):
        pick(collect([tmp_path]), ("strategy",), ("rate",), "valid/ndcg@10")
