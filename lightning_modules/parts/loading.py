"""Load a Hugging Face encoder so that nothing is missing, nothing is half precision and nothing is printed."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    MODEL_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForTextEncoding,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.utils import logging

from lightning_modules.parts.families import T5_LIKE


def load_encoder(path: Path, decoder: bool = False, dropout: float | None = None) -> PreTrainedModel:
    """The encoder in a local folder, in eval mode, as float32 whatever it was stored in, without a pooler.

    dropout: in the place of every share that the model was pretrained with; None leaves them. The configuration that
    the model keeps still names the pretrained ones: an export is a model like the one that was loaded, and what frozen
    layers say does not depend on dropout. So the few models that ask it in each step keep theirs: attention of Falcon
    and Persimmon.

    Of a model that has a decoder beside its encoder (T5), the decoder is loaded where it is asked for. Raises
    ValueError where the folder holds no model, where it has not the decoder, or one that nobody can read here, or where
    weights are missing: they would be random, or where it can only be read by code of its own (see `no_code_of`).
    """
    if not (path / "config.json").is_file():
        raise ValueError(
            f"{path} holds no config.json: give the folder of a pretrained encoder, or its name on the hub"
        )
    config = load_config(path)
    if decoder and not config.is_encoder_decoder:
        raise ValueError(
            f"pooling=decoder needs a model with a decoder beside its encoder, and {config.model_type} has none"
        )
    if config.is_encoder_decoder and config.model_type not in T5_LIKE:
        raise ValueError(
            f"{config.model_type} is an encoder with a decoder; of these only {', '.join(T5_LIKE)} can be read: "
            "give one of them, or an encoder alone, as bert-base-uncased"
        )
    pretrained = {} if dropout is None else replace_dropout(config, dropout)
    loader = AutoModelForTextEncoding if config.model_type in T5_LIKE and not decoder else AutoModel
    kind = MODEL_MAPPING.get(type(config), None)
    pooler = inspect.isclass(kind) and "add_pooling_layer" in inspect.signature(kind).parameters
    options = {"add_pooling_layer": False} if pooler else {}
    model, report = load_model(loader, path, config=config, **options)
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise ValueError(
            f"{path} lacks {len(report['missing_keys'])} weights of {type(model).__name__}, such as {missing}"
        )
    for name, share in pretrained.items():
        setattr(model.config, name, share)
    return model


def load_config(path: Path) -> PretrainedConfig:
    """The configuration in a local folder."""
    with no_code_of(path):
        return AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)


def load_model(loader: Any, path: Path, **options: Any) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The model in a local folder by a class of transformers, as float32 and in eval mode, and what that class says of
    the weights, such as `missing_keys`. Nothing is printed."""
    with quiet(), no_code_of(path):
        return loader.from_pretrained(
            path,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )


def load_tokenizer(path: Path) -> Any:
    """The tokenizer in a local folder."""
    with no_code_of(path):
        return AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)


def replace_dropout(config: PretrainedConfig, dropout: float) -> dict[str, float]:
    """Set every share of dropout that the configuration names, whatever its family calls them: hidden_dropout_prob,
    resid_pdrop, dropout_rate and so on. The chance that a whole layer is left out (layerdrop) is none of them. Returns
    what they were. Raises ValueError outside [0, 1)."""
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"backbone.dropout={dropout} lies outside [0, 1)")
    found = {
        name: value
        for name, value in config.to_dict().items()
        if "drop" in name and "layerdrop" not in name and type(value) in (int, float)
    }
    for name in found:
        setattr(config, name, dropout)
    return found


def keep_first(model: PreTrainedModel, layers: list[nn.Module], count: int) -> None:
    """Throw away all layers but the lowest `count`, in place. Raises ValueError where there are not so many, and for a
    model in one piece."""
    if layers and layers[0] is model:
        raise ValueError(
            f"first_layers={count}, but the layers of {type(model).__name__} are not known: leave it null, or use a "
            "model of another family, such as minilm"
        )
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
def no_code_of(path: Path) -> Iterator[None]:
    """Say in words of ours that transformers could read a folder only by running Python files of it, which happens
    nowhere here: whoever wrote them could do anything. Left to itself transformers asks at the terminal, and advises to
    allow it."""
    try:
        yield
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise ValueError(
            f"{path} can only be read by Python code that lies in it or that it names, and no such code is run: give a "
            "model of a family that transformers itself knows, such as bert-base-uncased"
        ) from None


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
