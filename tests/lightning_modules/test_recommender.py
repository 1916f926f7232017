"""The composed model: law 2 over every interest, head and two backbones, law 6 for what is done once, laws 8 and 9."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from datamodules.candidates.full import FullCandidates
from datamodules.types import Items
from lightning_modules.evaluation import rank
from lightning_modules.finite import NotFiniteError
from lightning_modules.scorers.trained import TrainedScorer
from lightning_modules.types import Asked
from tests.lightning_modules.composition import PAIRS, close, stirred
from tests.lightning_modules.small_model import PROTOCOL, lightning_module, small_data, small_model

BACKBONES = ["ids", "text"]
every_backbone = pytest.mark.parametrize("backbone", BACKBONES)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory, tiny_bert):
    root = tmp_path_factory.mktemp("worlds")
    return {"ids": small_data(root), "text": small_data(root, tiny_bert, candidates=FullCandidates())}


@pytest.fixture
def make(worlds, tiny_bert):
    """A data module and a recommender in eval mode, away from its start, centred and cut by its catalogue."""

    def made(backbone, *parts, settings=()):
        data = worlds[backbone]
        model = stirred(small_model(data, tiny_bert if backbone == "text" else None, *parts, settings=settings)).eval()
        model.calibrate(data.items(), data.log.n_items)
        return data, model

    return made


def batch_of(data, members, full=True):
    """The batch of some examples; the whole catalogue as candidates makes batches comparable."""
    collator = data.train_dataloader().dataset.collator
    sampler = FullCandidates() if full else collator.sampler
    return replace(collator, sampler=sampler)(np.array(members), np.random.default_rng(0))


@torch.no_grad()
def scored(model, batch):
    """(Q, C), all at once."""
    vectors, slots = model.encoder(batch.items), batch.candidates.slot
    pool = model.head.pool(vectors[slots], batch.items.ids[slots])
    return model.head.scores(model.ask(vectors, batch.events, batch.queries), pool)


@every_backbone
@pytest.mark.parametrize(("interest", "head"), PAIRS)
def test_a_user_scores_the_same_alone_and_in_a_batch(interest, head, backbone, make):
    """From the log to the score: other users' items change neither texts, slots, padding nor chunks of this one's."""
    data, model = make(backbone, interest, head)
    examples = data.examples
    lengths = np.diff(examples.offsets)
    members = [int(np.flatnonzero(lengths == n)[0]) for n in (1, 3, 6)]
    together = scored(model, batch_of(data, members)).split(lengths[members].tolist())
    for member, rows in zip(members, together, strict=True):
        close(scored(model, batch_of(data, [member])), rows)


@every_backbone
def test_an_evaluated_query_scores_the_same_alone_and_in_its_block(backbone, make):
    data, model = make(backbone)
    scorer, blocks = TrainedScorer(model, data.log.n_items), data.blocks("valid")
    scorer.prepare(data.items())
    members = blocks.members[0][:5]
    together = scorer.scores(blocks.block(members), 0, data.log.n_items)
    for row, member in enumerate(members):
        close(scorer.scores(blocks.block(np.array([member])), 0, data.log.n_items)[0], together[row])


@every_backbone
def test_items_encoded_once_equal_every_position_encoded_apart(backbone, make):
    """The naive twin: each history position through the encoder alone, then interest and head as usual."""
    data, model = make(backbone)
    batch = batch_of(data, [0, 5, 9, 14])
    with torch.no_grad():
        naive = torch.zeros(*batch.events.slot.shape, model.encoder.dim)
        for b, h in batch.events.mask.nonzero().tolist():
            naive[b, h] = model.encoder(batch.items.take(batch.events.slot[b, h][None]))[0]
        each = [model.encoder(batch.items.take(slot[None])) for slot in batch.candidates.slot]
        asked = Asked(model.interest(naive, batch.events, batch.queries), batch.queries.mask)
        pool = model.head.pool(torch.cat(each), batch.items.ids[batch.candidates.slot])
        expected = model.head.scores(asked, pool)
    close(scored(model, batch), expected)


@every_backbone
def test_the_origin_is_the_catalogues_mean_whatever_the_other_rows_say(backbone, make):
    data, model = make(backbone)
    n = data.log.n_items
    centred = model.calibrate(data.items(), n)
    assert len(centred) == len(data.item_of_row)
    close(centred[:n].mean(0), torch.zeros(model.encoder.dim))
    taken = [model.encoder.mean.clone(), *(cut.tau.clone() for cut in model.cuts())]
    alone = model.calibrate(data.items(np.arange(n)), n)
    close(alone, centred[:n])
    assert all(
        torch.allclose(a, b) for a, b in zip(taken, [model.encoder.mean, *(c.tau for c in model.cuts())], strict=True)
    )


def test_interest_and_head_have_a_cut_each_and_their_bite_is_reported(make):
    _, model = make("ids", settings={"interest": {"tau": "q0.9"}, "head": {"tau": "q0.25"}})
    assert len(model.cuts()) == 2
    assert {name: round(float(share), 2) for name, share in model.bite().items()} == {
        "cut_share": 0.25,
        "edge_density": 0.1,
    }
    _, plain = make("ids", "mean", "dot")
    assert (plain.cuts(), plain.bite()) == ([], {})


def test_a_cut_that_hardly_bites_warns_once_and_says_the_way_out(worlds):
    data = worlds["ids"]
    model = small_model(data, settings={"head": {"tau": "q0.02"}, "interest": {"tau": -1.0}})
    with pytest.warns(UserWarning, match="the cut of the") as caught:
        model.calibrate(data.items(), data.log.n_items)
    texts = sorted(str(one.message) for one in caught)
    assert len(texts) == 2
    assert "head (tau = -0." in texts[0]
    assert "removes 2.0% of item pairs, less than 5%" in texts[0]
    assert "head.tau=q0.5" in texts[0]
    assert "interest (tau = -1) removes 0.0% of item pairs" in texts[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.calibrate(data.items(), data.log.n_items)


def test_graph_and_dot_rank_the_catalogue_differently(worlds):
    """Law 9 on the composed model, at the same weights."""
    data, tops = worlds["ids"], []
    for head in ("graph", "dot"):
        scorer = TrainedScorer(small_model(data, head=head), data.log.n_items)
        scorer.prepare(data.items())
        tops.append(rank(scorer, data.blocks("valid")[0], data.log.n_items, PROTOCOL).top_ids)
    assert (tops[0] != tops[1]).any(1).float().mean() > 0.9


def test_a_scorer_switches_dropout_off(worlds):
    data = worlds["ids"]
    model = small_model(data, settings={"interest": {"dropout": 0.5}}).train()
    scorer = TrainedScorer(model, data.log.n_items)
    found = []
    for _ in range(2):
        scorer.prepare(data.items())
        found.append(scorer.scores(data.blocks("valid")[0], 0, data.log.n_items))
    assert torch.equal(*found)


def with_nan(data, place):
    model = small_model(data)
    place(model).data[0, 0] = torch.nan
    return model


def test_nan_in_the_loss_names_the_step(worlds):
    data = worlds["ids"]
    module = lightning_module(data, with_nan(data, lambda model: model.interest.query.weight))
    batch = next(iter(data.train_dataloader()))
    with pytest.raises(NotFiniteError, match="1 of 1 values are NaN or infinite in the training loss at step 0"):
        module.training_step(batch, 0)


def test_nan_in_a_score_names_scorer_query_and_item(worlds):
    data = worlds["ids"]
    scorer = TrainedScorer(with_nan(data, lambda model: model.interest.query.weight), data.log.n_items)
    scorer.prepare(data.items())
    with pytest.raises(NotFiniteError, match=r"of TrainedScorer are NaN or \+inf, the first for query 0 and catalogue"):
        rank(scorer, data.blocks("valid")[0], data.log.n_items, PROTOCOL)


def test_nan_in_a_vector_names_the_catalogue(worlds):
    data = worlds["ids"]
    model = with_nan(data, lambda model: model.encoder.backbone.embedding.weight)
    with pytest.raises(NotFiniteError, match="1 of 400 values are NaN or infinite in the catalogue's vectors"):
        model.calibrate(data.items(), data.log.n_items)


def test_kept_features_that_are_not_finite_are_refused(make):
    data, model = make("text")
    features = torch.full((len(data.item_of_row), 32), torch.nan)
    with pytest.raises(NotFiniteError, match="the catalogue's vectors"):
        model.encoder.catalogue(Items(data.item_of_row, features=features))
