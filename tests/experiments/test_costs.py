"""Columns of cost: which, and the one that compares rows with each other."""

import pytest

from experiments.runs.read import Run, read_run
from experiments.tables.costs import COSTS, cost_cells, require_costs, tpme
from experiments.tables.grid import Cell
from experiments.tables.rows import Row, TableError, make_rows
from tests.experiments.fabricated import three_seeds, write_run
from tests.experiments.tabulated import refusal, table


def row(name, seconds, parameters, memory):
    cost = {"seconds_per_epoch": seconds, "trainable_parameters": parameters, "peak_memory_bytes": memory}
    return Row((name,), (Run(name, "done", cost=cost),), ())


def test_tpme_as_the_equations_have_it():
    """By hand: lora's time lies at (20 - 10) / (30 - 10) = .5, its parameters at .25, its memory at .75, so
    .45 * .5 + .1 * .25 + .45 * .75 = .5875."""
    rows = [row("full", 30.0, 100, 9.0), row("lora", 20.0, 25, 7.0), row("frozen", 10.0, 0, 1.0)]
    found = tpme(rows)
    assert found[("full",)] == pytest.approx(1)
    assert found[("lora",)] == pytest.approx(0.5875)
    assert found[("frozen",)] == 0


def test_tpme_does_not_depend_on_units_and_leaves_out_who_lacks_a_number():
    rows = [row("full", 30.0, 100, 9.0), row("lora", 20.0, 25, 7.0), row("frozen", 10.0, 0, 1.0)]
    inflated = [row("full", 30e3, 1e8, 9e9), row("lora", 20e3, 25e6, 7e9), row("frozen", 10e3, 0, 1e9)]
    assert tpme([*inflated, row("popularity", None, 0, 5.0)]) == pytest.approx({**tpme(rows), ("popularity",): None})


def test_what_all_rows_share_does_not_count():
    assert tpme([row("a", 5.0, 7, 3.0), row("b", 5.0, 7, 4.0)]) == {("a",): 0.0, ("b",): pytest.approx(0.45)}


def test_an_energy_is_told_in_watt_hours_and_nothing_as_nothing():
    drawn = Row(("lora",), (Run("lora", "done", cost={"energy_joules": 7200.0}),), ())
    assert cost_cells([drawn], ["energy", "flops"]) == {("lora",): [Cell("2 Wh", number=7200.0), Cell("-")]}


def test_a_table_shows_the_columns_that_were_asked_for(tmp_path, capsys):
    lines = table(capsys, three_seeds(tmp_path), "--costs", "tpme", "time", "epoch")
    assert next(line for line in lines if "strategy" in line and line.startswith("|")).endswith(
        "| TPME | time | epoch |"
    )


def test_a_column_that_is_none_is_refused_with_the_nearest(tmp_path, capsys):
    assert "--costs epoc is no column of cost; nearest: epoch" in refusal(
        capsys, three_seeds(tmp_path), "--costs", "epoc"
    )
    with pytest.raises(TableError, match="tpme"):
        require_costs(["tpm"])
    require_costs([*COSTS, "tpme"])


def test_what_depends_on_a_seeds_first_batch_is_compared_over_common_seeds(tmp_path):
    """Seed 0's batch takes 2 G, seed 1's 4 G, whatever the strategy."""
    runs = [
        read_run(write_run(tmp_path, f"{name}-{seed}", strategy=name, seed=seed, cost={"flops_per_step": flops}))
        for name, seeds in (("lora", 2), ("full", 1))
        for seed, flops in enumerate((2e9, 4e9)[:seeds])
    ]
    rows = make_rows(runs, ("strategy",))
    assert {label: cells[0].number for label, cells in cost_cells(rows, ("flops",)).items()} == {
        ("lora",): 2e9,
        ("full",): 2e9,
    }
