"""Tasks without labels: which words are hidden, what the loss is, what is refused, and that a run can be resumed."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from datamodules.batching.text_batches import TextBatches
from datamodules.types import Ragged
from lightning_modules.adaptation import Adaptation
from lightning_modules.adaptation_module import AdaptationModule
from lightning_modules.adaptations import masked
from lightning_modules.adaptations.causal import CausalAdaptation
from lightning_modules.adaptations.masked import MaskedAdaptation
from lightning_modules.callbacks.last_checkpoint import LastCheckpoint
from lightning_modules.callbacks.step_seed import StepSeed
from lightning_modules.checkpoint_io import AtomicCheckpointIO
from lightning_modules.parts.loading import load_encoder
from lightning_modules.parts.word_model import UNASKED, padded, save_word_model
from lightning_modules.schedulers import warmup_linear

ENCODERS = ("bert", "roberta", "electra", "distilbert", "modernbert")
DECODERS = ("gpt2", "llama", "qwen3")


@pytest.fixture(scope="module")
def folders(tiny_models, tmp_path_factory):
    """The tiny models, each with the tiny tokenizer."""
    root = tmp_path_factory.mktemp("with-tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(tiny_models["bert"])
    for kind in (*ENCODERS, *DECODERS, "t5"):
        shutil.copytree(tiny_models[kind], root / kind)
        tokenizer.save_pretrained(root / kind)
    return root


def texts(*lengths: int) -> Ragged:
    generator = torch.Generator().manual_seed(1)
    values = torch.randint(5, 200, (sum(lengths),), generator=generator, dtype=torch.int32)
    return Ragged(values, torch.tensor([0, *lengths]).cumsum(0))


def test_both_keep_the_contract():
    assert isinstance(MaskedAdaptation(), Adaptation)
    assert isinstance(CausalAdaptation(), Adaptation)


def test_shares_of_what_is_asked_and_of_what_becomes_of_it(folders):
    words = MaskedAdaptation().load(folders / "bert")
    tokens = torch.randint(5, 2000, (200, 250))
    tokens[:, 0], tokens[:, -1], tokens[:, 7] = 2, 3, 1  # [CLS], [SEP], [UNK]
    mask = torch.ones_like(tokens, dtype=torch.bool)
    mask[:100, 240:] = False
    changed, labels = MaskedAdaptation().change(words, tokens, mask)
    asked = labels != UNASKED
    assert torch.equal(labels[asked], tokens[asked])
    assert torch.equal(changed[~asked], tokens[~asked])
    assert not asked[:, [0, 7, -1]].any()
    assert not asked[:100, 240:].any()
    free, count = 200 * 247 - 100 * 9, int(asked.sum())
    assert abs(count / free - 0.15) < 4 * math.sqrt(0.15 * 0.85 / free)
    hidden, kept = int((changed == words.mask)[asked].sum()), int((changed == tokens)[asked].sum())
    for found, share in ((hidden, 0.8), (kept, 0.1), (count - hidden - kept, 0.1)):
        assert abs(found / count - share) < 4 * math.sqrt(share * (1 - share) / count) + 1e-3
    replaced = changed[asked & (changed != words.mask) & (changed != tokens)]
    assert len(replaced.unique()) > 400  # from all over the vocabulary
    assert int(replaced.max()) < words.vocabulary


def test_labels_by_hand(folders, monkeypatch):
    words = MaskedAdaptation().load(folders / "bert")
    lots = (
        torch.tensor([[0.0, 0.1, 0.14, 0.149, 0.15, 0.0]]),  # asked below .15
        torch.tensor([[0.0, 0.79, 0.85, 0.95, 0.0, 0.0]]),  # below .8 hidden, below .9 replaced
        torch.full((1, 6), 77),
    )
    monkeypatch.setattr(masked, "_draws", lambda *_: lots)
    tokens = torch.tensor([[2, 11, 12, 13, 14, 0]])
    changed, labels = MaskedAdaptation().change(words, tokens, torch.tensor([[True] * 5 + [False]]))
    assert changed.tolist() == [[2, words.mask, 77, 13, 14, 0]]
    assert labels.tolist() == [[-100, 11, 12, 13, -100, -100]]


def test_draws_are_those_of_the_seed(folders):
    words, given = MaskedAdaptation().load(folders / "bert"), texts(30, 40)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(MaskedAdaptation().predict(words, given).loss.item())
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("kind", ENCODERS)
def test_the_masked_loss_is_the_one_of_transformers(kind, folders):
    words, given = MaskedAdaptation().load(folders / kind), texts(9, 17, 30)
    torch.manual_seed(5)
    found = MaskedAdaptation().predict(words, given)
    torch.manual_seed(5)
    tokens, mask = padded(given)
    changed, labels = MaskedAdaptation().change(words, tokens, mask)
    assert found.count == (labels != UNASKED).sum() > 0
    output = words.model(input_ids=changed, attention_mask=mask.long(), labels=labels)
    torch.testing.assert_close(found.mean, output.loss, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", DECODERS)
def test_the_causal_loss_is_the_one_of_transformers(kind, folders):
    words, given = CausalAdaptation().load(folders / kind), texts(9, 17, 30)
    found = CausalAdaptation().predict(words, given)
    assert found.count == 9 + 17 + 30 - 3
    tokens, mask = padded(given)
    labels = tokens.masked_fill(~mask, UNASKED)
    output = words.model(input_ids=tokens, attention_mask=mask.long(), labels=labels)
    torch.testing.assert_close(found.mean, output.loss, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_the_gradient_reaches_every_tensor(kind, folders):
    adaptation = MaskedAdaptation() if kind == "bert" else CausalAdaptation()
    words = adaptation.load(folders / kind)
    adaptation.predict(words, texts(20, 30)).mean.backward()
    named = dict(words.model.named_parameters())
    assert {name for name, p in named.items() if p.grad is None} == set()
    silent = {name for name, p in named.items() if not p.grad.any()}
    assert {name for name in silent if "key.bias" not in name} == set()  # attention cancels it


@pytest.mark.parametrize("kind", [*ENCODERS, "llama"])
def test_a_head_that_is_not_there_is_new_and_says_the_words_of_the_embeddings(kind, folders, tmp_path):
    adaptation: Any = CausalAdaptation() if kind == "llama" else MaskedAdaptation()
    words = adaptation.load(folders / kind)
    assert words.new
    assert words.model.get_output_embeddings().weight is words.model.get_input_embeddings().weight
    save_word_model(words, tmp_path / "saved")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folders / "bert" / name, tmp_path / "saved")
    again = adaptation.load(tmp_path / "saved")
    assert again.new == ()
    states = [one.model.state_dict() for one in (words, again)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    encoder = load_encoder(tmp_path / "saved").state_dict()
    own = words.model.base_model.state_dict()
    assert encoder.keys() == own.keys()
    assert all(torch.equal(encoder[name], own[name]) for name in own)


@pytest.mark.parametrize(
    ("adaptation", "kind", "said"),
    [
        (MaskedAdaptation(), "gpt2", "gpt2 has no head for hidden words.*adaptation=causal"),
        (MaskedAdaptation(), "llama", "llama has no head for hidden words.*adaptation=causal"),
        (CausalAdaptation(), "bert", "bert was not pretrained to say the next word.*adaptation=masked"),
        (CausalAdaptation(), "modernbert", "modernbert was not pretrained.*adaptation=masked"),
        (MaskedAdaptation(), "t5", "adaptation=masked: t5 is an encoder with a decoder"),
        (CausalAdaptation(), "t5", "adaptation=causal: t5 is an encoder with a decoder"),
    ],
)
def test_the_wrong_kind_of_model_is_refused_by_name(adaptation, kind, said, folders):
    with pytest.raises(ValueError, match=said):
        adaptation.load(folders / kind)


def test_weights_that_are_missing_below_the_head_and_a_missing_mask_token_are_refused(folders, tmp_path):
    for name in ("cut", "maskless"):
        shutil.copytree(folders / "bert", tmp_path / name)
    weights = load_file(tmp_path / "cut" / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, tmp_path / "cut" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 weights of BertModel, such as bert\.encoder\.layer\.1"):
        MaskedAdaptation().load(tmp_path / "cut")
    config = tmp_path / "maskless" / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"mask_token": None}))
    with pytest.raises(ValueError, match="has no mask token"):
        MaskedAdaptation().load(tmp_path / "maskless")


def test_the_lowest_layers_alone_can_be_adapted(folders):
    words = MaskedAdaptation().load(folders / "bert", first_layers=1)
    assert len(words.model.base_model.encoder.layer) == words.model.config.num_hidden_layers == 1
    assert MaskedAdaptation().predict(words, texts(40)).loss > 0


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"share": 1.0}, {"hidden": 0.9, "replaced": 0.2}, {"hidden": -0.1}])
def test_shares_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"adaptation\.(share|hidden)"):
        MaskedAdaptation(**wrong)


class Stop(pl.Callback):
    """Counts batches, and after so many ends training as a kill would."""

    def __init__(self, after: int = 0) -> None:
        self.after, self.seen = after, 0

    def on_train_batch_end(self, *_: Any) -> None:
        self.seen += 1
        if self.seen == self.after:
            raise InterruptedError


def run(folder: Path, model: Path, extra: list[pl.Callback]) -> Any:
    """Weights, head included, and the loss of held-out words."""
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    words = MaskedAdaptation().load(model)
    given = texts(*range(5, 45))
    batches = TextBatches(given, np.arange(40) % 8 == 0, tokens_per_step=200, seed=3)
    module = AdaptationModule(
        words, MaskedAdaptation(), batches, lambda groups: torch.optim.AdamW(groups, lr=1e-2), warmup_linear
    )
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        plugins=[AtomicCheckpointIO()],
        callbacks=[StepSeed(0), LastCheckpoint(folder, seconds=0), *extra],
    )
    last = folder / "last.ckpt"
    try:
        trainer.fit(module, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    except InterruptedError:
        return None
    return module.model.state_dict(), module.measured


def test_an_interrupted_run_ends_as_the_one_left_alone(folders, tmp_path):
    state, measured = run(tmp_path / "alone", folders / "bert", [])
    steps = TextBatches(texts(*range(5, 45)), np.arange(40) % 8 == 0, 200, 3).steps_per_epoch(1)
    assert steps >= 5
    for stop in (2, steps, steps + 3):
        folder, went_on = tmp_path / f"killed-{stop}", Stop()
        assert run(folder, folders / "bert", [Stop(stop)]) is None
        assert (folder / "last.ckpt").exists()
        resumed, again = run(folder, folders / "bert", [went_on])
        saved = stop - 1 if stop == steps else stop  # an epoch's last step is saved when the epoch ends
        assert went_on.seen == 3 * steps - saved
        assert again == measured
        assert all(torch.equal(resumed[name], state[name]) for name in state)
    assert measured["valid/perplexity"] == pytest.approx(math.exp(measured["valid/loss"]))


def test_training_lowers_the_loss_and_dropout_is_on(folders, tmp_path):
    class Seen(pl.Callback):
        def __init__(self) -> None:
            self.modes: set[bool] = set()
            self.losses: list[float] = []

        def on_train_batch_start(self, trainer: Any, module: Any, *_: Any) -> None:
            self.modes.add(module.model.base_model.embeddings.dropout.training)

        def on_validation_end(self, trainer: Any, module: Any) -> None:
            self.losses.append(module.measured["valid/loss"])

    seen = Seen()
    run(tmp_path / "one", folders / "bert", [seen])
    assert seen.modes == {True}
    assert seen.losses[-1] < seen.losses[0] < math.log(3000)
