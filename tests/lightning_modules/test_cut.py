"""The threshold: a number or a quantile of the catalogue's cosines, and how much it cuts."""

import pytest
import torch
from torch.nn.functional import normalize

from lightning_modules.parts.cut import SAMPLE, Cut
from tests.lightning_modules.composition import draw_vectors

VECTORS = draw_vectors(n=60)


def pairs(vectors):
    """The cosines of all ordered pairs of different items."""
    unit = normalize(vectors, dim=-1)
    return (unit @ unit.T)[~torch.eye(len(vectors), dtype=torch.bool)]


def test_the_cut_by_hand():
    assert Cut(0.25)(torch.tensor([-1.0, 0.25, 0.5, 1.0])).tolist() == [0.0, 0.0, 0.25, 0.75]


@pytest.mark.parametrize("tau", [-1.0, -0.3, 0.0, 0.3, 0.99])
def test_a_number_stays_and_its_share_is_measured(tau):
    cut = Cut(tau)
    cut.calibrate(VECTORS)
    assert float(cut.tau) == pytest.approx(tau)
    assert float(cut.share) == pytest.approx(float((pairs(VECTORS) <= tau).float().mean()), abs=1e-6)


@pytest.mark.parametrize(("word", "share"), [("q0", 0.0), ("q.25", 0.25), ("q0.5", 0.5), ("q0.90", 0.9)])
def test_a_quantile_cuts_its_share(word, share):
    cut = Cut(word)
    assert float(cut.tau) == 0  # until there is a catalogue
    cut.calibrate(VECTORS)
    # Cosines are symmetric, so each value comes twice; rounding may tell the twins apart.
    assert float(cut.share) == pytest.approx(share, abs=2.1 / (60 * 59))
    assert float(cut.tau) == pytest.approx(float(pairs(VECTORS).quantile(share)), abs=5e-3)


def test_a_large_catalogue_is_sampled_the_same_each_time():
    many = draw_vectors(n=SAMPLE + 500)
    first, second = Cut("q0.7"), Cut("q0.7")
    first.calibrate(many)
    torch.rand(3)
    second.calibrate(many)
    assert torch.equal(first.tau, second.tau)
    assert float((pairs(many) <= first.tau).float().mean()) == pytest.approx(0.7, abs=0.01)


def test_a_catalogue_of_one_item_has_no_pairs():
    cut = Cut("q0.5")
    cut.calibrate(VECTORS[:1])
    assert (float(cut.tau), float(cut.share)) == (0, 0)


def test_cuts_travel_in_checkpoints():
    cut, other = Cut("q0.5"), Cut("q0.5")
    cut.calibrate(VECTORS)
    other.load_state_dict(cut.state_dict())
    assert (torch.equal(other.tau, cut.tau), torch.equal(other.share, cut.share)) == (True, True)


@pytest.mark.parametrize("tau", ["q1", "q-0.1", "0.3", "q", "half"])
def test_a_word_that_is_no_quantile_is_refused(tau):
    with pytest.raises(ValueError, match=rf"tau is '{tau}'; it is a number in \[-1, 1\) or a quantile such as q0.5"):
        Cut(tau)


@pytest.mark.parametrize("tau", [1.0, -1.1, float("nan")])
def test_a_number_that_is_no_cosine_is_refused(tau):
    with pytest.raises(ValueError, match=r"a cosine threshold lies in \[-1, 1\)"):
        Cut(tau)
