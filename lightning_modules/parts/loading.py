"""Load a Hugging Face encoder so that nothing is missing, nothing is half precision and nothing is printed."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from transformers import (
    MODEL_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForTextEncoding,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.utils import logging

from lightning_modules.parts.families import T5_LIKE


def load_encoder(path: Path, decoder: bool = False, dropout: float | None = None) -> PreTrainedModel:
    """The encoder in a local folder, in eval mode, as float32 whatever it was stored in, without a pooler.

    dropout: in the place of every share that the model was pretrained with; None leaves them.

    Of a model that has a decoder beside its encoder (T5), the decoder is loaded where it is asked for. Raises
    ValueError where the folder holds no model, where it has not the decoder, or one that nobody can read here, or where
    weights are missing: they would be random.
    """
    if not (path / "config.json").is_file():
        raise ValueError(
            f"{path} holds no config.json: give the folder of a pretrained encoder, or its name on the hub"
        )
    config = AutoConfig.from_pretrained(path, local_files_only=True)
    if decoder and not config.is_encoder_decoder:
        raise ValueError(
            f"pooling=decoder needs a model with a decoder beside its encoder, and {config.model_type} has none"
        )
    if config.is_encoder_decoder and config.model_type not in T5_LIKE:
        raise ValueError(
            f"{config.model_type} is an encoder with a decoder; of these only {', '.join(T5_LIKE)} can be read: "
            "give one of them, or an encoder alone, as bert-base-uncased"
        )
    if dropout is not None:
        replace_dropout(config, dropout)
    loader = AutoModelForTextEncoding if config.model_type in T5_LIKE and not decoder else AutoModel
    kind = MODEL_MAPPING.get(type(config), None)
    pooler = inspect.isclass(kind) and "add_pooling_layer" in inspect.signature(kind).parameters
    options = {"add_pooling_layer": False} if pooler else {}
    with quiet():
        model, report = loader.from_pretrained(
            path, config=config, dtype=torch.float32, local_files_only=True, output_loading_info=True, **options
        )
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise ValueError(
            f"{path} lacks {len(report['missing_keys'])} weights of {type(model).__name__}, such as {missing}"
        )
    return model


def replace_dropout(config: PretrainedConfig, dropout: float) -> None:
    """Set every share of dropout that the configuration names, whatever its family calls them: hidden_dropout_prob,
    resid_pdrop, dropout_rate and so on. Raises ValueError outside [0, 1)."""
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"backbone.dropout={dropout} lies outside [0, 1)")
    for name, value in config.to_dict().items():
        if "drop" in name and type(value) in (int, float):
            setattr(config, name, dropout)


def keep_first(model: PreTrainedModel, layers: list[nn.Module], count: int) -> None:
    """Throw away all layers but the lowest `count`, in place. Raises ValueError where there are not so many."""
    if not 1 <= count <= len(layers):
        raise ValueError(
            f"first_layers={count}, but {type(model).__name__} has {len(layers)} layers: give 1 to so many"
        )
    holder = next(part for part in model.modules() if isinstance(part, nn.ModuleList) and list(part) == layers)
    del holder[count:]
    model.config.num_hidden_layers = count
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = model.config.layer_types[:count]


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bar and no table of the weights that are left out on purpose."""
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
