"""What a strategy added, folded into the weights that it was added to."""

import copy
from typing import cast

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import PreTrainedModel

from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.virtual_tokens import virtual_length


def merged(encoder: Encoder) -> PreTrainedModel:
    """The language model as an ordinary one with the same output, up to rounding; the encoder keeps its own.

    Raises ValueError where that cannot be: a network with a bend in it is no matrix, virtual tokens are no weights, and
    a network beside the model is not in it.
    """
    reason = _obstacle(encoder)
    if reason:
        raise ValueError(f"{reason}, so it cannot be merged into the weights; export it without --merge")
    if encoder.plan.adapter is None:
        return cast(PreTrainedModel, encoder.backbone.pretrained)
    return cast(PreTrainedModel, copy.deepcopy(encoder.plan.adapter).merge_and_unload())  # type: ignore[operator]


def mergeable(encoder: Encoder) -> bool:
    """Whether `merged` gives a model."""
    return not _obstacle(encoder)


def _obstacle(encoder: Encoder) -> str:
    if encoder.plan.reading is not None:
        return f"{type(encoder.plan.reading).__name__} stands beside the language model"
    pretrained = cast(nn.Module, encoder.backbone.pretrained)
    if virtual_length(pretrained):
        return "virtual tokens are an input"
    layers = [part for part in pretrained.modules() if isinstance(part, BaseTunerLayer)]
    stiff = [part for part in layers if type(part).merge is BaseTunerLayer.merge]
    return f"{type(stiff[0]).__name__} is no linear map" if stiff else ""
