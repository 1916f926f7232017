"""Language models under a head that says which word stands in a place, as they were pretrained."""

from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from datamodules.types import Ragged
from lightning_modules.adaptation import Predicted, WordModel
from lightning_modules.parts.layouts.choice import layout_of
from lightning_modules.parts.loading import keep_first, load_config, load_model, load_tokenizer, quiet

Task = Literal["masked", "causal"]
UNASKED = -100
"""The label of a place whose word nobody asks for, as transformers has it."""


def load_word_model(loader: Any, path: Path, task: Task, first_layers: int | None) -> WordModel:
    """The model of a local folder with its head, as float32, in eval mode, its lowest `first_layers` layers alone where
    so many are asked for.

    loader: the class of transformers that puts on the head of `task`. A head that the folder does not bring begins at
    random, its words those of the embeddings. Raises ValueError where the model was not pretrained for the task, or
    where weights below the head are missing.
    """
    require_task(load_config(path), task)
    model, report = load_model(loader, path)
    new = tuple(sorted(report["missing_keys"]))
    lost = [name for name in new if name.startswith(f"{model.base_model_prefix}.")]
    if lost:
        raise ValueError(f"{path} lacks {len(lost)} weights of {type(model.base_model).__name__}, such as {lost[0]}")
    if new:
        model.config.tie_word_embeddings = True
        model.tie_weights()
    layout = layout_of(model.base_model)
    if first_layers is not None:
        keep_first(model.base_model, layout.layers, first_layers)
    tokenizer = load_tokenizer(path)
    special = tuple(tokenizer.all_special_ids)
    return WordModel(model, layout.longest, len(tokenizer), special, tokenizer.mask_token_id, new)


def require_task(config: PreTrainedConfig, task: Task) -> None:
    """Raise ValueError, naming the model and the way out, unless it was pretrained for the task."""
    kind = config.model_type
    if config.is_encoder_decoder:
        raise ValueError(
            f"adaptation={task}: {kind} is an encoder with a decoder, pretrained by filling in spans (Raffel et al. "
            "2020), and that is not built here: adapt an encoder (adaptation=masked) or a decoder (adaptation=causal)"
        )
    encoder = kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False)
    decoder = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not encoder
    if task == "masked" and not encoder:
        way_out = "use adaptation=causal" if decoder else "take an encoder such as bert-base-uncased"
        raise ValueError(
            f"adaptation=masked: {kind} has no head for hidden words, and does not see both sides of one: {way_out}"
        )
    if task == "causal" and not decoder:
        way_out = "use adaptation=masked" if encoder else "take a decoder such as gpt2"
        raise ValueError(
            f"adaptation=causal: {kind} was not pretrained to say the next word, and one that sees both sides would "
            f"read it off: {way_out}"
        )


def save_word_model(words: WordModel, folder: Path) -> None:
    """Weights, head included, and configuration in Hugging Face's format; nothing is printed."""
    model: PreTrainedModel = words.model
    with quiet():
        model.save_pretrained(folder)


def padded(texts: Ragged) -> tuple[Int[Tensor, "B S"], Bool[Tensor, "B S"]]:
    """Texts as rows filled up with 0 on the right, and which places are theirs."""
    lengths = texts.lengths()
    mask = torch.arange(int(lengths.max()), device=lengths.device) < lengths[:, None]
    tokens = mask.long()
    tokens[mask] = texts.values.long()
    return tokens, mask


def predict(
    words: WordModel, tokens: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"], labels: Int[Tensor, "B S"]
) -> Predicted:
    """Minus the log-likelihood of each label that is not `UNASKED`, added up.

    The head, which is as wide as the vocabulary, is asked at these places alone.
    """
    asked = labels != UNASKED

    def only_asked(module: PreTrainedModel, given: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state[asked][None]
        return output

    model: PreTrainedModel = words.model
    hook = model.base_model.register_forward_hook(only_asked)
    try:
        logits: Float[Tensor, "1 Q W"] = model(input_ids=tokens, attention_mask=mask.long()).logits
    finally:
        hook.remove()
    loss = F.cross_entropy(logits[0].float(), labels[asked], reduction="sum")
    return Predicted(loss, asked.sum())
