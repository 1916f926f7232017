"""Load a Hugging Face encoder so that nothing is missing, nothing is half precision and nothing is printed."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import MODEL_MAPPING, AutoConfig, AutoModel, PreTrainedModel
from transformers.utils import logging


def load_encoder(path: Path) -> PreTrainedModel:
    """The encoder in a local folder, in eval mode, as float32 whatever it was stored in, without a pooler.

    Raises ValueError where the folder holds no model, where a decoder comes with the encoder, or where weights are
    missing: they would be random.
    """
    if not (path / "config.json").is_file():
        raise ValueError(
            f"{path} holds no config.json: give the folder of a pretrained encoder, or its name on the hub"
        )
    config = AutoConfig.from_pretrained(path, local_files_only=True)
    if config.is_encoder_decoder:
        raise ValueError(
            f"{config.model_type} is an encoder with a decoder: give an encoder alone, as bert-base-uncased"
        )
    kind = MODEL_MAPPING.get(type(config), None)
    pooler = inspect.isclass(kind) and "add_pooling_layer" in inspect.signature(kind).parameters
    options = {"add_pooling_layer": False} if pooler else {}
    with _quiet():
        model, report = AutoModel.from_pretrained(
            path, dtype=torch.float32, local_files_only=True, output_loading_info=True, **options
        )
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise ValueError(
            f"{path} lacks {len(report['missing_keys'])} weights of {type(model).__name__}, such as {missing}"
        )
    return model


@contextmanager
def _quiet() -> Iterator[None]:
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
