"""Law 4 and its kin, over every strategy of conf/ on a tiny model of every family."""

import peft
import pytest
import torch

from datamodules.types import Items, Ragged
from lightning_modules.checkpoint import kept_state
from lightning_modules.parts import virtual_tokens
from tests.lightning_modules.strategies import pairs

MECHANISMS = ("full", "bitfit", "lora", "ia3", "houlsby", "prompt", "prefix", "side")
"""One strategy of each: weights as they are, some of them, corrected, scaled, networks in, before and beside layers."""
over_every_pair = pytest.mark.parametrize(("name", "family"), pairs.PAIRS, ids=map("-".join, pairs.PAIRS))
over_every_pair_in_time = pytest.mark.parametrize(
    ("name", "family"),
    [
        pytest.param(
            *pair, id="-".join(pair), marks=() if pair[1] == "bert" or pair[0] in MECHANISMS else pytest.mark.slow
        )
        for pair in pairs.PAIRS
    ],
)
"""What a family hardly changes: all strategies on BERT each time, on the others one of each mechanism; the rest where
the slow tests run too."""

REFUSED = {
    ("bitfit", "llama"): "trains biases, and LlamaModel has none",
    ("bitfit", "t5"): "trains biases, and T5EncoderModel has none",
    ("loha", "gpt2"): "Conv1D",
    ("lokr", "gpt2"): "Conv1D",
    ("oft", "gpt2"): "Conv1D",
}
FROZEN_BELOW = {
    (name, family) for name in ("frozen", "side", "iisan", "top_k", "top_k_gradual") for family in pairs.FAMILIES
}
"""Leave whole layers below what trains, the states of which can be kept."""
NOT_IN_PEFT = {"bitfit", "frozen", "full", "full_llrd", "top_k", "top_k_gradual"}
MORE_THAN_ROUNDING = 1e-6
PEFT_IS_SILENT = {("prefix", "t5")}
"""peft's own forward passes the prefix by without a word, and fails where it is given a mask."""


def supported(name, family, folders):
    """The encoder; a refused pair is looked at in a test of its own."""
    if (name, family) in REFUSED:
        pytest.skip(f"{name} refuses {family}: {REFUSED[name, family]}")
    return pairs.build(name, folders[name, family])


def test_pairs_are_supported_or_refused_by_name(folders):
    outcomes = {pair: pairs.attempt(pair[0], folders[pair]) for pair in pairs.PAIRS}
    refused = {pair: outcome.reason for pair, outcome in outcomes.items() if outcome.encoder is None}
    assert refused.keys() == REFUSED.keys()
    for pair, words in REFUSED.items():
        assert words in refused[pair], pair
    assert len(pairs.STRATEGIES) == 26
    assert (len(outcomes) - len(refused), len(refused)) == (99, 5)
    frozen_below = {pair for pair, outcome in outcomes.items() if outcome.encoder and outcome.encoder.lowest > 0}
    assert frozen_below == FROZEN_BELOW
    assert len(frozen_below) == 20


@pytest.mark.parametrize("family", pairs.FAMILIES)
@torch.no_grad()
def test_a_lost_query_would_be_seen(family, tiny_models, token_items):
    """By a hundred times what the tests below let pass as rounding."""
    items = token_items(*pairs.LENGTHS)
    encoder = pairs.build("lora", tiny_models[family]).eval()
    pairs.perturb(encoder)
    ups = pairs.of_role("query", encoder, "lora_B.default.weight")
    assert len(ups) == encoder.backbone.depth == 2
    for up in ups:
        before, kept = encoder(items), up.clone()
        up[: encoder.dim] = 0.0  # GPT-2 keeps query, key and value in one, in this order
        assert bool(((encoder(items) - before).abs().amax(1) > 2e-3).all())
        up.copy_(kept)


@over_every_pair
@torch.no_grad()  # with gradients attention takes another kernel, of other rounding
def test_step_0_is_as_declared(name, family, folders, token_items):
    encoder = supported(name, family, folders).eval()
    base = pairs.build("frozen", folders[name, family]).eval()
    ours, theirs = encoder(token_items(*pairs.LENGTHS)), base(token_items(*pairs.LENGTHS))
    if encoder.plan.identity == "exact":
        assert torch.equal(ours, theirs)
    elif encoder.plan.identity == "numeric":
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    else:
        assert not torch.allclose(ours, theirs, rtol=0, atol=1e-5)


@over_every_pair
def test_what_is_declared_trains_and_everything_else_stays_bit_for_bit(name, family, folders, token_items):
    encoder = supported(name, family, folders)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    inner = {id(p): key for key, p in pairs.pretrained_names(encoder).items()}
    declared = {key for key in inner.values() if encoder.plan.trains(key)}
    assert {inner[id(item.parameter)] for item in encoder.trainable() if id(item.parameter) in inner} == declared
    pairs.train(encoder, token_items)
    after = encoder.state_dict()
    assert after.keys() == before.keys()
    moved = {key for key in after if not torch.equal(after[key], before[key])}
    trained = pairs.names_that_train(encoder)
    assert moved | {key for key in trained if key.endswith(pairs.SOFTMAX_IGNORES)} == trained


@over_every_pair_in_time
def test_every_tensor_that_trains_has_a_gradient_by_step_2_and_matters(name, family, folders, token_items):
    encoder = supported(name, family, folders)
    pairs.train(encoder, token_items, steps=1)
    items = token_items(*pairs.LENGTHS, seed=7)
    loss = (encoder(items) * torch.randn(len(pairs.LENGTHS), encoder.dim)).sum()
    loss = loss if encoder.plan.regulariser is None else loss + encoder.plan.regulariser()
    if encoder.trainable():
        loss.backward()
    for item in encoder.trainable():
        assert item.parameter.grad is not None, item.name
        assert item.parameter.grad.abs().max() > 0, item.name
    pairs.train(encoder, token_items, steps=2)
    encoder.eval()
    with torch.no_grad():
        before = encoder(items)
        for item in encoder.trainable():
            kept = item.parameter.clone()
            item.parameter.add_(0.5 * torch.randn_like(kept))
            moved = float((encoder(items) - before).abs().max())
            assert moved > MORE_THAN_ROUNDING or item.name.endswith(pairs.SOFTMAX_IGNORES), (item.name, moved)
            item.parameter.copy_(kept)


# peft 0.21.2 hands a prefix to transformers 5.23 under an old name (seen on 2026-11-25).
@pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning")
@over_every_pair
def test_layers_equal_the_models_own_forward_after_a_perturbation(name, family, folders, token_items):
    encoder = supported(name, family, folders).eval()
    pairs.perturb(encoder)
    model = encoder.plan.adapter if pairs.virtual(encoder) or encoder.plan.reading is not None else None
    if (name, family) in PEFT_IS_SILENT or name == "iisan":
        pytest.skip("no forward of another's computes this; its own tests have an independent one")
    items = token_items(*pairs.LENGTHS)
    torch.testing.assert_close(encoder(items), pairs.own_forward(encoder, items, model), rtol=0, atol=1e-5)


@over_every_pair_in_time
def test_dropout_works_inside_what_trains_and_nowhere_below(name, family, folders):
    encoder = supported(name, family, folders).train()
    for index, layer in enumerate(encoder.backbone.layers):
        assert {part.training for part in layer.modules()} == {index >= encoder.lowest}
    assert not {part.training for part in encoder.eval().modules()} - {False}


@over_every_pair_in_time
def test_a_checkpoint_of_what_trains_brings_the_model_back(name, family, folders, token_items):
    trained = supported(name, family, folders)
    pairs.train(trained, token_items)
    fresh = pairs.build(name, folders[name, family], seed=1)
    kept = kept_state(trained, trained.state_dict())
    missing = fresh.load_state_dict(kept, strict=False)
    assert not missing.unexpected_keys
    items = token_items(*pairs.LENGTHS)
    assert torch.equal(fresh.eval()(items), trained.eval()(items))


# What peft 0.21.2 asks of transformers 5.23 by old names, and what it warns of its own norms (seen on 2026-11-25).
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:Unsupported layer type:UserWarning")
@over_every_pair_in_time
def test_a_saved_folder_opens_with_peft(name, family, folders, token_items, tmp_path):
    encoder = supported(name, family, folders)
    assert (encoder.plan.adapter is None) == (name in NOT_IN_PEFT)
    if encoder.plan.adapter is None or (name, family) in PEFT_IS_SILENT or name == "iisan":
        pytest.skip("nothing of it is in peft, or peft does not compute it")
    pairs.train(encoder, token_items)
    encoder.plan.adapter.save_pretrained(tmp_path)
    base = pairs.build("frozen", folders[name, family]).backbone.pretrained
    opened = peft.PeftModel.from_pretrained(base, tmp_path).eval()
    items = token_items(*pairs.LENGTHS)
    theirs = pairs.own_forward(encoder, items, opened)
    torch.testing.assert_close(encoder.eval()(items), theirs, rtol=0, atol=1e-5)


@over_every_pair_in_time
def test_recomputed_chunks_give_the_gradients_of_kept_ones(name, family, folders, token_items):
    encoder = supported(name, family, folders)
    pairs.train(encoder, token_items)
    encoder.tokens_per_chunk = 16
    found = []
    for encoder.recompute in (True, False):
        torch.manual_seed(3)
        found.append(pairs.gradients(encoder, token_items(*pairs.LENGTHS)))
    pairs.assert_same_gradients(*found)


@over_every_pair_in_time
def test_accumulated_halves_give_the_gradients_of_the_whole(name, family, folders, token_items):
    encoder = supported(name, family, folders)
    pairs.train(encoder, token_items)  # before the first step most of them are zero
    items = token_items(*pairs.LENGTHS)
    halves = (items.take(torch.tensor(rows)) for rows in ([0, 1], [2, 3, 4]))
    encoder.eval()
    pairs.assert_same_gradients(pairs.gradients(encoder, *halves), pairs.gradients(encoder, items))


@pytest.mark.parametrize(("name", "family"), sorted(FROZEN_BELOW))
def test_kept_states_of_frozen_layers_change_no_gradient(name, family, folders, token_items):
    encoder = supported(name, family, folders)
    pairs.train(encoder, token_items)
    items = token_items(*pairs.LENGTHS)
    if encoder.features_reusable:
        kept = Items(items.ids, features=encoder.settled(encoder.pooled(items)))
    else:
        found = [(rows, states) for rows, states in encoder.lower_states(items)]
        assert [len(rows) for rows, _ in found] == [len(items)]  # one chunk, shortest text first
        order = torch.argsort(found[0][0])
        texts = found[0][1].split(items.tokens.lengths()[found[0][0]].tolist())
        kept = Items(items.ids, states=Ragged(torch.cat([texts[row] for row in order]), items.tokens.offsets))
    encoder.eval()
    torch.testing.assert_close(encoder(kept), encoder(items), rtol=0, atol=1e-5)
    pairs.assert_same_gradients(pairs.gradients(encoder, kept), pairs.gradients(encoder, items))


def test_virtual_tokens_count_among_the_models_parameters(tiny_models):
    for name in ("prompt", "p_tuning", "prefix"):
        encoder = pairs.build(name, tiny_models["bert"])
        assert all(item.name.startswith(f"backbone.pretrained.{virtual_tokens.NAME}.") for item in encoder.trainable())
