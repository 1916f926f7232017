"""From a configuration to the objects it describes; the only place where all seams meet."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from datamodules.candidates.full import FullCandidates
from datamodules.interest_datamodule import InterestDataModule
from experiments.config.instantiate import instantiate
from experiments.config.pretrained import model_folder, pretrained_names
from experiments.config.ranker import wanted_model
from experiments.frozen_layers import Kept, compute_once, fit
from lightning_modules.interest_module import InterestModule
from lightning_modules.parts.encoder import Encoder
from lightning_modules.recommender import Recommender
from lightning_modules.scorers.likelihood import Reader
from lightning_modules.strategies.frozen import FrozenStrategy
from lightning_modules.types import Scorer

Config = dict[str, Any]
Frozen = Callable[[Encoder, InterestDataModule, Path, Kept], None]
"""What is done about layers whose output never changes: see `experiments.frozen_layers`."""


@dataclass(frozen=True)
class Facts:
    """What code knows of the data and hands to every part whose signature asks for it."""

    n_items: int
    n_behaviours: int
    history_length: int
    item_counts: torch.Tensor
    has_times: bool

    @classmethod
    def of(cls, data: InterestDataModule) -> "Facts":
        """The facts of a data module."""
        log = data.log
        length = data.objective.history_length
        return cls(log.n_items, len(log.behaviours), length, data.item_counts, log.time is not None)


def build_data(config: Config) -> InterestDataModule:
    """The data module. Where a language model reads, its tokenizer comes from the folder that the backbone names."""
    folders = [model_folder(name, Path(config["cache_dir"])) for name in pretrained_names(config).values()]
    node = config["datamodule"]
    inner = {name: instantiate(node[name]) for name in ("source", "filters") if name in node}
    data: Any = instantiate(
        {name: value for name, value in node.items() if name not in inner},
        **inner,
        split=instantiate(config["split"]),
        objective=instantiate(config["objective"]),
        candidates=instantiate(config["candidates"]),
        text=None if config.get("text") is None else instantiate(config["text"]),
        tokenizer=next(iter(folders), None),
        root=Path(config["cache_dir"]),
        seed=config["seed"],
    )
    data.validation_sample = config["metrics"].get("valid_queries")
    return data


def build_scorer(config: Config, data: InterestDataModule) -> Scorer:
    """A scorer that needs no training: fitted in closed form, or over the backbone as it was pretrained."""
    truth = data.prepared.truth
    topics = None if truth is None else torch.tensor(np.asarray(truth.topics), dtype=torch.float32)
    facts = vars(Facts.of(data)) | ({} if topics is None else {"topics": topics})
    if make := FROM_A_MODEL.get(wanted_model(config)):
        facts["model"] = make(config, data)
    try:
        return instantiate(config["scorer"], **facts)  # type: ignore[return-value]
    except TypeError as error:
        if "topics" in str(error):
            raise ValueError(
                f"scorer=oracle needs known truth, and {data.prepared.name} has none; use datamodule=simulator"
            ) from error
        raise


def frozen_encoder(config: Config, data: InterestDataModule) -> Encoder:
    """The backbone with nothing to train, over the vectors that strategy=frozen keeps; the data get them as well."""
    cache = Path(config["cache_dir"])
    _language_model(config)
    backbone: Any = instantiate(with_folders(config["backbone"], cache), **vars(Facts.of(data)))
    encoder = Encoder(backbone, FrozenStrategy())
    fit(encoder, data, cache)
    return encoder


def reader(config: Config, data: InterestDataModule) -> Reader:
    """The language model's folder, and the texts in order of the rows that events and candidates point to."""
    return Reader(model_folder(_language_model(config), Path(config["cache_dir"])), data.texts.texts)


def _language_model(config: Config) -> str:
    for name in pretrained_names(config).values():
        return name
    scorer = config["scorer"]["_target_"].rpartition(".")[2]
    raise ValueError(f"{scorer} reads with a language model, and the backbone has none; use backbone=minilm or another")


FROM_A_MODEL: dict[str, Callable[[Config, InterestDataModule], object]] = {
    "Encoder": frozen_encoder,
    "Reader": reader,
}
"""What a scorer without training is given for its `model`, by the type that its signature asks for."""


def build_module(config: Config, data: InterestDataModule, frozen: Frozen = compute_once) -> InterestModule:
    """The module to train, fitted on the catalogue's text where something has to be; data and model share what is
    cached.

    A configuration that was written before `frozen_states` was a setting lacks it; such a run kept none.
    """
    facts, cache = Facts.of(data), Path(config["cache_dir"])
    backbone: Any = instantiate(with_folders(config["backbone"], cache), **vars(facts))
    strategy: Any = instantiate(config["strategy"])
    encoder = Encoder(backbone, strategy, tokens_per_chunk=config["tokens_per_chunk"])
    if data.tokenizer is not None:
        frozen(encoder, data, cache, config.get("frozen_states", "none"))
        refuse_full_candidates(encoder, data)
    seams = vars(facts) | {"dim": encoder.dim}
    interest: Any = instantiate(config["interest"], **seams)
    if data.objective.every_position and not interest.causal:
        raise ValueError(
            f"objective=next asks at every position, but {type(interest).__name__} looks at the whole history and "
            "would see the answers; use objective=last"
        )
    return InterestModule(
        model=Recommender(encoder, interest, instantiate(config["head"], **seams)),  # type: ignore[arg-type]
        loss=instantiate(config["loss"], **seams),  # type: ignore[arg-type]
        optimizer=instantiate(config["optimizer"]),  # type: ignore[arg-type]
        scheduler=instantiate(config["scheduler"]),  # type: ignore[arg-type]
        protocol=instantiate(config["metrics"]),  # type: ignore[arg-type]
        items=data.items,
        n_items=facts.n_items,
        language_model_lr=config.get("language_model_lr"),
    )


def refuse_full_candidates(encoder: Encoder, data: InterestDataModule) -> None:
    """Raise `ValueError` where every step would read the whole catalogue, and that is out of reach."""
    if isinstance(data.candidates, FullCandidates) and not encoder.features_reusable:
        data.candidates.check(int(data.tokens.offsets[data.log.n_items]))


def with_folders(node: Any, cache: Path) -> Any:
    """A backbone's configuration with every pretrained name, the values under `path`, replaced by its folder."""
    if isinstance(node, list):
        return [with_folders(value, cache) for value in node]
    if isinstance(node, dict):
        return {
            key: str(model_folder(value, cache)) if key == "path" else with_folders(value, cache)
            for key, value in node.items()
        }
    return node
