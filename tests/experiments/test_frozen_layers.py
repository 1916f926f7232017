"""Law 6: what frozen layers say is computed once and stands for computing it in every step."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.corpus import DataError
from experiments.config.compose import compose
from experiments.frozen_layers import key, read_once
from experiments.wiring import build_data, build_module
from lightning_modules.parts.encoder import Encoder

WORLD = [
    *("datamodule.source.users=40", "datamodule.source.items=30", "datamodule.source.events=8"),
    *("datamodule.users_per_step=8", "backbone=bert_tiny"),
]
TOP = ["strategy=top_k", "strategy.k=1"]


def built(root: Path, *words: str, strategy=TOP, **how):
    """Data and module of a small world."""
    config = compose([*WORLD, *strategy, *words, f"runs_dir={root}", f"cache_dir={root / 'cache'}"])
    data = build_data(config)
    data.prepare_data()
    torch.manual_seed(0)
    return data, build_module(config, data, **how)


def files(root: Path) -> list[Path]:
    return sorted((root / "cache" / "states").glob("*.npy"))


def test_steps_from_kept_states_equal_steps_from_words(tmp_path):
    found = []
    for kept in ("float32", "none"):
        data, module = built(tmp_path, f"frozen_states={kept}")
        assert (data.states is None) == (kept == "none")
        module.model.calibrate(data.items(), module.n_items)
        batch = next(iter(data.train_dataloader()))
        assert (batch.items.tokens is None) == (kept == "float32")
        torch.manual_seed(3)  # the same dropout
        loss = module.model.loss(batch, module.loss)
        loss.backward()
        found.append([loss.detach(), *(p.grad for p in module.parameters() if p.grad is not None)])
    assert len(found[0]) > 10
    for fast, slow in zip(*found, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-5)


def test_runs_share_what_one_of_them_computed(tmp_path, capsys):
    data, _ = built(tmp_path)
    assert "keeping what the lowest 1 layers say of" in capsys.readouterr().err
    (path,) = files(tmp_path)
    before = path.stat().st_mtime_ns
    again, _ = built(tmp_path, "head=dot")  # other parts above the same layers
    assert files(tmp_path) == [path]
    assert path.stat().st_mtime_ns == before
    assert torch.equal(again.states.values, data.states.values)
    assert capsys.readouterr().err == ""
    assert len(data.states.values) == len(data.tokens.values)


def test_the_key_is_what_the_output_depends_on(tmp_path):
    data, module = built(tmp_path)
    encoder, known = module.model.encoder, key(module.model.encoder, data.tokens)
    assert key(encoder, data.tokens) == known
    layers = encoder.backbone.layers
    with torch.no_grad():
        layers[1].output.dense.weight.add_(1.0)  # trains: lies above
    assert key(encoder, data.tokens) == known
    with torch.no_grad():
        layers[0].output.dense.weight[0, 0].add_(1.0)
    assert key(encoder, data.tokens) != known
    fewer, _ = built(tmp_path, "text.max_tokens=6")
    assert key(encoder, fewer.tokens) != key(encoder, data.tokens)


def test_half_precision_says_its_error(tmp_path):
    data, _ = built(tmp_path)
    with pytest.warns(UserWarning, match=r"frozen_states=float16 moved a state by up to [\d.e-]+"):
        half, _ = built(tmp_path, "frozen_states=float16")
    assert half.states.values.dtype == torch.float16
    error = (half.states.values.float() - data.states.values).abs().max()
    (record,) = (tmp_path / "cache" / "states").glob("*-float16.json")
    assert float(error) == pytest.approx(json.loads(record.read_text("utf-8"))["largest_error"], rel=1e-3)


def test_full_precision_has_no_error_to_record(tmp_path):
    built(tmp_path)
    assert list((tmp_path / "cache" / "states").glob("*.json")) == []


UNREADABLE = (b"", b"[]", b"{}", b'{"largest_error": "x"}', b"\xff")


@pytest.mark.parametrize("damage", [None, b"{", *(pytest.param(one, marks=pytest.mark.slow) for one in UNREADABLE)])
def test_a_lost_record_of_the_error_is_unknown_and_no_fault(damage, tmp_path):
    with pytest.warns(UserWarning, match="moved a state by up to"):
        data, _ = built(tmp_path, "frozen_states=float16")
    (record,) = (tmp_path / "cache" / "states").glob("*-float16.json")
    record.unlink()
    if damage is not None:
        record.write_bytes(damage)
    with pytest.warns(UserWarning, match=r"an error that \w+-float16.json does not tell; remove .*-float16.npy"):
        again, _ = built(tmp_path, "frozen_states=float16")
    assert torch.equal(again.states.values, data.states.values)


def test_states_that_half_precision_cannot_hold_do_not_blame_the_model(tmp_path, monkeypatch):
    exact = Encoder.lower_states
    monkeypatch.setattr(Encoder, "lower_states", lambda *given: ((row, 1e6 * made) for row, made in exact(*given)))
    with pytest.raises(DataError, match=r"lies beyond 65,504.0, the largest float16; .*frozen_states=float32"):
        built(tmp_path, "frozen_states=float16")


def test_a_choice_without_states_to_keep_is_said(tmp_path):
    for strategy in (["strategy=frozen"], ["strategy=full"], ["strategy=lora"], ["strategy=top_k", "strategy.k=2"]):
        with pytest.warns(UserWarning, match="frozen_states: no frozen layers lie below one that trains"):
            built(tmp_path, "frozen_states=none", strategy=strategy)
    assert files(tmp_path) == []


def test_a_model_that_only_answers_takes_states_that_are_there_and_makes_none(tmp_path):
    cache = tmp_path / "cache" / "states"
    without, fresh = built(tmp_path, frozen=read_once)
    assert without.states is None
    assert not cache.exists()
    trained, _ = built(tmp_path)
    kept, again = built(tmp_path, frozen=read_once)
    assert torch.equal(kept.states.values, trained.states.values)
    assert torch.equal(fresh.model.encoder.catalogue(without.items()), again.model.encoder.catalogue(kept.items()))
    assert built(tmp_path, "frozen_states=none", frozen=read_once)[0].states is None


def test_words_in_the_place_of_rounded_states_are_said(tmp_path):
    with pytest.warns(UserWarning, match=r"frozen_states=float16: .*; its texts are read instead"):
        data, _ = built(tmp_path, "frozen_states=float16", frozen=read_once)
    assert data.states is None


def test_a_file_cut_short_is_made_anew_and_one_with_nan_refused(tmp_path):
    data, _ = built(tmp_path)
    before = data.states.values.clone()  # the file is mapped
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.warns(UserWarning, match="it is made anew"):
        again, _ = built(tmp_path)
    assert torch.equal(again.states.values, before)
    stored = np.load(path, mmap_mode="r+")
    stored[3] = np.nan
    stored.flush()
    with pytest.raises(DataError, match=r"hold NaN or infinite values: .* delete it and it is made anew"):
        built(tmp_path)


def test_another_word_is_refused(tmp_path):
    with pytest.raises(ValueError, match="frozen_states is 'double'; it is one of float32, float16, none"):
        built(tmp_path, "frozen_states=double")
