"""Whole recommenders, small: over item ids or over the tiny BERT, and the trainer around them."""

import pytorch_lightning as pl
import torch

from datamodules.candidates.sampled import SampledCandidates
from datamodules.sources.simulator import SimulatorSource
from datamodules.text.template import TemplateText
from experiments.config.instantiate import instantiate
from lightning_modules.backbones.item_id import ItemIdBackbone
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.checkpoint_io import AtomicCheckpointIO
from lightning_modules.interest_module import InterestModule
from lightning_modules.losses.softmax import SoftmaxLoss
from lightning_modules.metrics.mrr import MrrMetric
from lightning_modules.metrics.ndcg import NdcgMetric
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.parts.encoder import Encoder
from lightning_modules.recommender import Recommender
from lightning_modules.schedulers import warmup_linear
from lightning_modules.strategies.full import FullStrategy
from tests.datamodules.small_module import small_module
from tests.lightning_modules.composition import choices

WORLD = SimulatorSource(users=60, items=50, events=10, seed=4)
PROTOCOL = EvaluationProtocol((NdcgMetric(10), MrrMetric(10)))


def small_data(root, bert=None, source=WORLD, **settings):
    """Data of item ids, or with `bert` of texts in which a purchase is put into words."""
    reading = {} if bert is None else {"text": TemplateText(phrases={"buy": "bought it"}), "tokenizer": bert}
    return small_module(root, source, **{"candidates": SampledCandidates(10), "users_per_step": 8} | reading | settings)


def small_model(data, bert=None, interest="graph", head="graph", strategy=None, settings=()):
    """A recommender with the parts of conf/interest and conf/head; `settings` of either, by seam."""
    torch.manual_seed(0)
    backbone = ItemIdBackbone(data.log.n_items, dim=8) if bert is None else LanguageModelBackbone(str(bert), dim=8)
    encoder = Encoder(backbone, strategy or FullStrategy())
    facts = {
        "dim": encoder.dim,
        "n_items": data.log.n_items,
        "n_behaviours": len(data.log.behaviours),
        "history_length": data.objective.history_length,
        "item_counts": data.item_counts,
    }
    parts = [
        instantiate(choices(seam)[name] | dict(settings).get(seam, {}), **facts)
        for seam, name in (("interest", interest), ("head", head))
    ]
    return Recommender(encoder, *parts)


def lightning_module(data, model, loss=None, lr=1e-2):
    """The module that trains it."""
    return InterestModule(
        model,
        loss or SoftmaxLoss(),
        lambda groups: torch.optim.AdamW(groups, lr=lr),
        warmup_linear,
        PROTOCOL,
        data.items,
        data.log.n_items,
    )


def trainer(*callbacks, **settings):
    """A quiet trainer on one CPU."""
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": 1,
    }
    return pl.Trainer(callbacks=list(callbacks), plugins=[AtomicCheckpointIO()], **quiet | settings)
