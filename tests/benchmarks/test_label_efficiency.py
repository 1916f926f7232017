"""The program that asks what few labels do: that its shares are whole, and its gains those of a pair."""

from pathlib import Path

from benchmarks import label_efficiency
from experiments.runs.provenance import ROOT
from experiments.runs.read import read_run
from tests.experiments.fabricated import write_run


def test_each_share_of_labels_has_its_lengths() -> None:
    assert label_efficiency.EPOCHS.keys() == label_efficiency.PARENTS_EPOCHS.keys()
    assert list(label_efficiency.EPOCHS) == sorted(label_efficiency.EPOCHS)
    assert set(label_efficiency.STRATEGIES) <= {path.stem for path in (ROOT / "conf" / "strategy").glob("*.yaml")}


def test_what_adaptation_gives_is_told_of_the_same_strategy_and_labels(tmp_path: Path) -> None:
    """By hand: the adapted run of lora at .05 has .25 more on every one of four queries, that of full the same."""
    runs = {}
    for name, strategy, share, more in (
        ("a", "lora", 0.05, 0.0),
        ("b", "full", 0.05, 0.0),
        ("c", "lora", 0.2, 0.5),
        ("d", "lora", 0.05, 0.25),
        ("e", "full", 0.05, 0.0),
    ):
        words = [f"strategy={strategy}", f"{label_efficiency.SHARE}={share}"]
        write_run(tmp_path, name, [x + more for x in (0.0, 0.1, 0.2, 0.3)], strategy, overrides=words)
        runs[name] = read_run(tmp_path / name)
    grid = label_efficiency.adaptation_gains([runs[name] for name in "abc"], [runs[name] for name in "de"])
    assert [[cell.text for cell in row] for row in grid.rows] == [
        ["lora", "0.05", "+0.2500", "[+0.2500, +0.2500]", "0.250"],  # 4 equal signs have p 2/16, times 2 rows
        ["full", "0.05", "+0.0000", "[+0.0000, +0.0000]", "1.000"],
    ]
