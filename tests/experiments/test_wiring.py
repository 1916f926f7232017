"""Where the seams meet: what does not go together is refused, with the way out."""

import pytest
import torch

from datamodules.types import Items
from experiments.config.compose import compose
from experiments.wiring import Facts, build_data, build_module
from lightning_modules.parts.whitening import Whitening

BLIND = '''
"""Every node at every moment: fine at the end of a history, a leak within it."""

import torch
from torch import nn

from lightning_modules.types import Interests


class WholeInterest(nn.Module):
    """Equal weights over the whole history, whenever it is asked."""

    causal = False

    def forward(self, vectors, events, queries):
        shares = events.mask / events.mask.sum(1, keepdim=True)
        weights = shares[:, None, :].expand(-1, queries.position.shape[1], -1)
        return Interests(vectors, weights, torch.where(events.mask, 0, -1))
'''
SMALL = ["experiment=sasrec", "datamodule.source.users=30", "datamodule.source.items=40", "datamodule.source.events=8"]


@pytest.fixture
def blind(tmp_path, monkeypatch):
    """The name of a class that looks at the whole history."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "whole_toy.py").write_text(BLIND, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "code")
    return "whole_toy.WholeInterest"


def built(tmp_path, objective, interest):
    config = compose([*SMALL, f"objective={objective}", "interest=mean", f"runs_dir={tmp_path}"])
    config["interest"] = {"_target_": interest}
    data = build_data(config)
    return data, build_module(config, data)


def test_an_objective_that_asks_everywhere_refuses_an_interest_that_looks_everywhere(tmp_path, blind):
    with pytest.raises(ValueError, match=r"objective=next asks at every position, but WholeInterest .* objective=last"):
        built(tmp_path, "next", blind)


def test_asked_at_the_end_the_same_interest_trains(tmp_path, blind):
    data, module = built(tmp_path, "last", blind)
    batch = next(iter(data.train_dataloader()))
    assert torch.isfinite(module.model.loss(batch, module.loss))


def test_facts_are_those_of_the_data(tmp_path):
    data, module = built(tmp_path, "next", "lightning_modules.interests.mean.MeanInterest")
    facts = Facts.of(data)
    assert facts.n_items == module.n_items == len(data.prepared.item_keys) == 40
    assert facts.n_behaviours == len(data.log.behaviours)
    assert facts.history_length == 50
    assert int(facts.item_counts.sum()) == int((data.log.train_stop - data.log.offsets[:-1]).sum())


def test_a_run_that_knew_no_kept_states_is_built_as_it_was(tmp_path):
    words = ["backbone=bert_tiny", "strategy=top_k", "strategy.k=1"]
    config = compose([*SMALL[1:], *words, f"runs_dir={tmp_path}"])
    del config["frozen_states"]
    data = build_data(config)
    build_module(config, data)
    assert data.states is None


@pytest.mark.parametrize("strategy", ["frozen", "lora"])
def test_whitening_is_fitted_on_the_catalogue_alone(tmp_path, strategy):
    """Law 3: which purchases stand in the text table depends on validation and test; the catalogue's text does not."""
    words = ["backbone=bert_tiny", "backbone.whiten=true", f"strategy={strategy}", "+text.phrases.buy='bought it'"]
    config = compose([*SMALL[1:], *words, f"runs_dir={tmp_path}"])
    data = build_data(config)
    encoder = build_module(config, data).model.encoder
    n_items = data.log.n_items
    assert len(data.item_of_row) > n_items
    expected = Whitening(32)
    everything = Items(data.item_of_row, data.tokens)
    expected.fit(encoder.pooled(everything.take(torch.arange(n_items))))
    torch.testing.assert_close(encoder.backbone.whitening.mean, expected.mean, rtol=1e-5, atol=1e-6)
    other = encoder.pooled(everything).mean(0)
    assert not torch.allclose(encoder.backbone.whitening.mean, other, rtol=1e-5, atol=1e-6)
