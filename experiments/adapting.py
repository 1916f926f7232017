"""One run that adapts a language model: build, fit, and leave the model as a folder. Knows no Hydra."""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning.loggers import Logger

from datamodules.batching.text_batches import TextBatches
from datamodules.pretrained import tokenizer_files
from datamodules.storage import atomic_folder
from datamodules.text.corpus_texts import distinct_texts
from datamodules.text.tokens import tokenise
from datamodules.types import Ragged
from experiments.config.instantiate import instantiate
from experiments.config.monitor import require_measured
from experiments.config.pretrained import model_folder
from experiments.corpus import prepared_of, split_of
from experiments.fitting import best_checkpoint, build_trainer, fit, load_weights
from experiments.results import Outcome
from experiments.runs.parents import LANGUAGE_MODEL
from experiments.wiring import Config
from lightning_modules.adaptation import WordModel
from lightning_modules.adaptation_module import AdaptationModule
from lightning_modules.callbacks.cost import Cost
from lightning_modules.callbacks.epochs_file import EpochsFile
from lightning_modules.callbacks.last_checkpoint import LastCheckpoint
from lightning_modules.callbacks.progress_file import ProgressFile
from lightning_modules.callbacks.step_seed import StepSeed
from lightning_modules.parts.word_model import save_word_model

BEST = "adapted"
"""Stem of the best epoch's checkpoint. It is no recommender's, which a run with parents would look for as best.ckpt."""


def adapt(config: Config, folder: Path, loggers: list[Logger]) -> tuple[Outcome, dict[str, Any]]:
    """Fit, take the epoch with the lowest loss of held-out words, and leave its model in FOLDER/language_model, with
    head and tokenizer, in Hugging Face's format."""
    require_measured(config["monitor"], "monitor", config)
    source = model_folder(config["backbone"]["path"], Path(config["cache_dir"]))
    module = build_adaptation(config, source)
    cost, best = Cost(), best_checkpoint(folder, config["monitor"], BEST)
    own = [StepSeed(config["seed"]), cost, best, EpochsFile(folder), ProgressFile(folder), LastCheckpoint(folder)]
    trainer = build_trainer(config, folder, own, loggers)
    fit(trainer, module, None, folder / "last.ckpt")
    load_weights(module, folder / f"{BEST}.ckpt")
    trainer.validate(module, verbose=False)
    if trainer.is_global_zero:
        save(module.words, source, folder / LANGUAGE_MODEL)
        print(", ".join(f"{name} {value:.4f}" for name, value in module.measured.items()))
    own_cost = {
        "checkpoint_bytes": (folder / f"{BEST}.ckpt").stat().st_size,
        "batches_per_epoch": module.texts.steps_per_epoch(trainer.world_size),
    }
    return Outcome(module.measured, {}), cost.summary(module, queries=0) | own_cost


def build_adaptation(config: Config, source: Path) -> AdaptationModule:
    """The model of the folder `source`, under its head, and the texts that it learns from. The model is loaded first:
    what cannot adapt is refused before the corpus is read."""
    adaptation: Any = instantiate(config["adaptation"])
    words = adaptation.load(source, config["backbone"].get("first_layers"))
    if words.new:
        print(
            f"note: {config['backbone']['path']} brings no head that predicts words, so that one begins at random, "
            f"its words those of the embeddings ({len(words.new)} new tensors, such as {words.new[0]})",
            file=sys.stderr,
        )
    optimizer: Any = instantiate(config["optimizer"])
    scheduler: Any = instantiate(config["scheduler"])
    return AdaptationModule(words, adaptation, build_texts(config, source, words), optimizer, scheduler)


def build_texts(config: Config, source: Path, words: WordModel) -> TextBatches:
    """The corpus in words. Raises ValueError where a text may be longer than the model reads."""
    text: Any = instantiate(config["text"])
    corpus: Any = instantiate(config["corpus"])
    if text.max_tokens > words.longest:
        raise ValueError(f"text.max_tokens is {text.max_tokens}, and {source.name} reads {words.longest}: lower it")
    prepared = prepared_of(config)
    texts = distinct_texts(text(prepared), prepared, split_of(config, prepared), source, text.max_tokens)
    stored = tokenise(texts, source, text.max_tokens, Path(config["cache_dir"]))
    tokens = Ragged(torch.from_numpy(np.array(stored.values)), torch.from_numpy(np.array(stored.offsets)))
    return TextBatches(tokens, corpus.held(texts, config["seed"]), corpus.tokens_per_step, config["seed"])


def save(words: WordModel, source: Path, target: Path) -> None:
    """Weights and configuration, and the tokenizer files of `source` as they are. What an earlier attempt left is
    replaced."""
    shutil.rmtree(target, ignore_errors=True)
    with atomic_folder(target) as made:
        save_word_model(words, made)
        for file in tokenizer_files(source):
            shutil.copy(file, made)
