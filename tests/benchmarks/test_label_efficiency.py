"""The program that asks what few labels do: that its shares are whole."""

from benchmarks import label_efficiency
from experiments.runs.provenance import ROOT


def test_each_share_of_labels_has_its_lengths() -> None:
    assert label_efficiency.EPOCHS.keys() == label_efficiency.PARENTS_EPOCHS.keys()
    assert list(label_efficiency.EPOCHS) == sorted(label_efficiency.EPOCHS)
    assert set(label_efficiency.STRATEGIES) <= {path.stem for path in (ROOT / "conf" / "strategy").glob("*.yaml")}
