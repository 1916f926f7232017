"""What a benchmark makes of its measurements, and loops that take turns in processes of their own."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.check_accuracy import seed_noise
from benchmarks.measuring.arithmetic import MINILM, Shape, exponent, ranking
from benchmarks.measuring.ratio import brief, paired_ratio, pooled_ratio
from benchmarks.measuring.row import Row, Side, stored, write
from benchmarks.measuring.served import Command, Taken, alternate

COUNTING = """
import sys
from benchmarks.measuring.serving import serve

def make():
    print("a library's chatter")
    return lambda number: {"targets": 10 * (number + 1), "asked": lambda: 7}

serve(make, "--serve" in sys.argv)
"""
SIDES = [Side("ours", "python -m a", 1.0), Side("theirs", "python -m b", 3.0)]


def a_row(ratio, goal, **more):
    return Row("name", "what", "seconds", SIDES, ratio, goal, **more)


@pytest.fixture
def counting(tmp_path):
    program = tmp_path / "counting.py"
    program.write_text(COUNTING)
    return Command((str(program),))


def test_a_ratio_compares_neighbours_in_time():
    """The machine was ten times slower in the second round; both loops were, so no pair shows it."""
    found = paired_ratio([1.0, 10.0, 1.0], [3.0, 30.0, 4.0])
    assert (found.median, found.low, found.high) == (3.0, 3.0, 4.0)


@pytest.mark.parametrize(("fast", "slow"), [([], []), ([1.0], [1.0, 2.0])])
def test_a_ratio_needs_pairs(fast, slow):
    with pytest.raises(ValueError, match="no pairs"):
        paired_ratio(fast, slow)


def test_unequal_turns_are_taken_together():
    """Ours did 1 + 9 units in 2 seconds, theirs 2 + 2 in 8: 0.2 seconds a unit against 2. Without the first round 1/9
    against 5/2, without the second 1 against 3/2."""
    found = pooled_ratio([(1.0, 1.0), (1.0, 9.0)], [(3.0, 2.0), (5.0, 2.0)])
    assert (found.median, found.low, found.high) == pytest.approx((10.0, 1.5, 22.5))


@pytest.mark.parametrize(("value", "shown"), [(1234.5, "1,234"), (12.34, "12.3"), (1.234, "1.23"), (0.5, "0.500")])
def test_numbers_are_brief(value, shown):
    assert brief(value) == shown


@pytest.mark.parametrize("power", [0.0, 1.0, 1.5])
def test_an_exponent_is_found_again(power):
    sizes = [10, 100, 1000]
    assert exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_one_size_shows_no_growth():
    with pytest.raises(ValueError, match="no growth"):
        exponent([10], [1.0])


def test_operations_of_a_layer_counted_by_hand():
    """One layer, width 2, inner 3, one text of 5 tokens: weights 4*4 + 2*6 = 28, each 6 operations a token; attention
    has 2 products of 5 x 5 pairs, each pair 2 numbers, 2 operations, three times: 2 * 25 * 2 * 2 * 3 = 600."""
    assert Shape(depth=1, dim=2, inner=3).training(tokens=5, squares=25) == 6 * 28 * 5 + 600


def test_equal_tokens_in_longer_texts_cost_more():
    assert MINILM.training(64, 64**2) > MINILM.training(64, 4 * 16**2)


def test_operations_of_ranking():
    assert ranking(users=2, nodes=3, items=5, dim=7) == 2 * 2 * 3 * 5 * 8


def test_a_cost_is_time_by_count():
    assert Taken(wall=8.0, cpu=4.0, counts={"targets": 2}).rate("targets") == 2.0


@pytest.mark.parametrize(
    ("row", "reached"),
    [
        (a_row(3.0, 2.5), True),
        (a_row(2.0, 2.5), False),
        (a_row(0.5, 1.0, at_most=True), True),
        (a_row(9.0, None), None),
    ],
)
def test_whether_a_goal_is_reached(row, reached):
    assert row.reached is reached


def test_a_result_says_how_to_make_it_again(tmp_path):
    path = write([a_row(3.0, 2.5)], "name", quick=True, threads=1, folder=tmp_path)
    kept = json.loads(path.read_text())
    assert path.name == "name.quick.json"
    assert kept["reproduce"] == "python -m benchmarks.bench name --threads 1 --quick"
    assert kept["rows"][0]["reached"] is True
    assert [side["command"] for side in kept["rows"][0]["sides"]] == ["python -m a", "python -m b"]
    assert {"machine", "versions", "when"} <= kept.keys()


def test_stored_rows_come_back_and_slices_do_not(tmp_path):
    row = a_row(3.0, 2.5, spread=(2.0, 4.0), detail={"rounds": 3})
    write([row], "name", quick=False, threads=1, folder=tmp_path)
    write([a_row(1.0, 2.5)], "name", quick=True, threads=1, folder=tmp_path)
    assert stored(tmp_path) == [row]


def test_loops_take_turns_and_the_first_is_left_out(counting):
    records = alternate({"a": counting, "b": counting}, rounds=2)
    for record in records.values():
        assert [turn.counts["targets"] for turn in record.turns] == [20, 30]
        assert record.turns[0].counts["asked"] == 7
        assert record.peak_bytes >= record.ready_bytes > 0


def test_a_loop_that_dies_says_why(tmp_path):
    program = tmp_path / "dying.py"
    program.write_text("raise SystemExit('out of cheese')")
    with pytest.raises(RuntimeError, match="out of cheese"):
        alternate({"a": Command((str(program),))}, rounds=1)


def test_a_command_names_no_folder_of_this_machine():
    peer = Path("anywhere") / "recbole" / "bin" / "python"
    assert Command(("-m", "x"), python=peer).shown() == ".venv-peers/recbole/bin/python -m x"
    assert Command(("-m", "x"), python=Path(sys.executable)).shown() == "python -m x"


def test_the_noise_of_seeds_by_hand():
    # Variances 1 and 1, so the difference of two means of three has sqrt(2/3); Student's t with 4 degrees: 2.776.
    ours, slow = np.array([1.0, 2.0, 3.0]), np.array([5.0, 6.0, 7.0])
    assert seed_noise(ours, slow) == pytest.approx(2.776445 * (2 / 3) ** 0.5, rel=1e-5)
