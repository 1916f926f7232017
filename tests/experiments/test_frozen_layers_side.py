"""Law 6 for networks beside the model: what its layers say at the taps is kept, and stands for computing it."""

import copy

import numpy as np
import pytest
import torch

from experiments.config.compose import compose
from experiments.frozen_layers import key, read_once
from experiments.wiring import build_data, build_module

WORLD = [
    *("datamodule.source.users=40", "datamodule.source.items=30", "datamodule.source.events=8"),
    *("datamodule.users_per_step=8", "backbone=bert_tiny", "backbone.whiten=true", "backbone.dim=8"),
]
FOLDERS = {"side": "states", "iisan": "features"}
WIDTH = 32
over_both = pytest.mark.parametrize("name", FOLDERS)


def built(root, name, *words, **how):
    """Data and module of a small world; each tap, so that there are three."""
    every = ["strategy.every=1"] if name in FOLDERS else []
    config = compose([*WORLD, f"strategy={name}", *every, *words, f"runs_dir={root}", f"cache_dir={root / 'cache'}"])
    data = build_data(config)
    data.prepare_data()
    torch.manual_seed(0)
    return data, build_module(config, data, **how)


def files(root, name):
    return sorted((root / "cache" / FOLDERS[name]).glob("*.npy"))


def step(data, module):
    """The loss of the first batch, and the gradients of what trains; at a point where every part of the network has
    one."""
    torch.manual_seed(5)
    with torch.no_grad():
        for item in module.model.encoder.trainable():
            item.parameter.add_(0.1 * torch.randn_like(item.parameter))
    module.model.calibrate(data.items(), module.n_items)
    batch = next(iter(data.train_dataloader()))
    torch.manual_seed(3)  # the same dropout
    loss = module.model.loss(batch, module.loss)
    loss.backward()
    return batch, [loss.detach(), *(item.parameter.grad for item in module.model.encoder.trainable())]


def compare(found, expected):
    assert len(found) == len(expected) > 10
    for fast, slow in zip(found, expected, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-3, atol=1e-5)
        assert fast.abs().max() > 0


@pytest.mark.parametrize("tokens", [16, 4096])
def test_side_steps_from_kept_states_equal_steps_from_words(tokens, tmp_path):
    found = {}
    for kept in ("float32", "none"):
        data, module = built(tmp_path, "side", f"frozen_states={kept}", f"tokens_per_chunk={tokens}")
        batch, found[kept] = step(data, module)
        assert (batch.items.states is None) == (kept == "none")
        assert (batch.items.tokens is None) == (kept == "float32")
    compare(found["float32"], found["none"])


def test_iisan_steps_from_kept_vectors_equal_steps_from_words(tmp_path):
    data, module = built(tmp_path, "iisan")
    slow_data, slow_module = copy.copy(data), copy.deepcopy(module)
    slow_data.features = None
    batch, found = step(data, module)
    assert batch.items.features.shape[1] == 3 * WIDTH
    batch, expected = step(slow_data, slow_module)
    assert batch.items.features is None
    compare(found, expected)


@over_both
def test_a_hybrid_with_a_network_beside_it_takes_a_step(name, tmp_path):
    world = [word for word in WORLD if not word.startswith("backbone")]
    words = ["backbone=hybrid", "backbone.text.path=tiny-bert", f"strategy={name}", f"cache_dir={tmp_path / 'cache'}"]
    config = compose([*world, *words, f"runs_dir={tmp_path}"])
    data = build_data(config)
    data.prepare_data()
    _, gradients = step(data, build_module(config, data))
    assert all(gradient.abs().max() > 0 for gradient in gradients)


@over_both
def test_what_is_kept_is_as_wide_as_its_taps_and_shared_by_other_networks(name, tmp_path, capsys):
    built(tmp_path, name)
    (path,) = files(tmp_path, name)
    said = capsys.readouterr().err
    stored = np.load(path)
    assert stored.shape[1] == 3 * WIDTH
    if name == "side":
        size = stored.nbytes / 1e6
        assert f"what the lowest 2 layers say of {len(stored):,} tokens, at 3 places: {size:,.0f} MB" in said
    built(tmp_path, name, "strategy.reduction=2", "strategy.temperature=1", "head=dot")
    assert files(tmp_path, name) == [path]
    built(tmp_path, name, "strategy.every=2")
    other = np.load(next(each for each in files(tmp_path, name) if each != path))
    assert np.array_equal(other, np.delete(stored, np.s_[WIDTH : 2 * WIDTH], axis=1))  # the layer between is left out


def test_the_key_tells_taps_and_methods_apart(tmp_path):
    keys = set()
    for name, words in (("side", []), ("side", ["strategy.every=2"]), ("iisan", []), ("frozen", [])):
        data, module = built(tmp_path, name, *words)
        encoder = module.model.encoder
        keys.add(key(encoder, data.tokens))
        for item in encoder.trainable():
            item.parameter.data.add_(1.0)
        assert key(encoder, data.tokens) in keys
        with torch.no_grad():
            next(encoder.backbone.pretrained.parameters()).add_(1.0)
        assert key(encoder, data.tokens) not in keys
    assert len(keys) == 4


def test_a_model_that_only_answers_takes_what_training_left(tmp_path):
    without, fresh = built(tmp_path, "side", frozen=read_once)
    assert without.states is None
    assert files(tmp_path, "side") == []
    trained, _ = built(tmp_path, "side")
    kept, again = built(tmp_path, "side", frozen=read_once)
    assert torch.equal(kept.states.values, trained.states.values)
    ours, theirs = again.model.encoder.catalogue(kept.items()), fresh.model.encoder.catalogue(without.items())
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    vectors, _ = built(tmp_path, "iisan", frozen=read_once)
    assert vectors.features.shape[1] == 3 * WIDTH


def test_half_precision_keeps_half_and_says_its_error(tmp_path):
    exact, _ = built(tmp_path, "side")
    with pytest.warns(UserWarning, match=r"frozen_states=float16 moved a state by up to [\d.e-]+"):
        half, module = built(tmp_path, "side", "frozen_states=float16")
    assert half.states.values.dtype == torch.float16
    assert 0 < (half.states.values.float() - exact.states.values).abs().max() < 1e-2
    assert step(half, module)[1][0].isfinite()


def test_iisan_has_no_states_to_keep(tmp_path):
    with pytest.warns(UserWarning, match="there are no states to keep; leave it out"):
        data, _ = built(tmp_path, "iisan", "frozen_states=none")
    assert data.features.shape[1] == 3 * WIDTH
    assert not (tmp_path / "cache" / "states").exists()
