"""Train the norms only."""

import warnings

from peft import LNTuningConfig
from torch import nn

from lightning_modules.parts.families import NORM, pattern_of
from lightning_modules.parts.injection import ending, peft_plan
from lightning_modules.types import Plan


class LayernormStrategy:
    """The gains of all norms train, and their biases where they have some; everything else is frozen.

    Zhao et al. 2024, "Tuning LayerNorm in Attention: Towards Efficient Multi-Modal LLM Finetuning". By peft, which
    trains a copy of each norm and keeps the old one; step 0 is the pretrained model exactly. Departure: the paper tunes
    the norms of the language model's layers, and other parts of a multi-modal model; here all norms of the model train,
    that of the embeddings and the last one too.

    Raises ValueError for a model of a family that is not known.
    """

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        where = ending(pattern_of(NORM, "LayernormStrategy", pretrained))
        with warnings.catch_warnings():
            # peft 0.21.2 asks every module that it wraps for its width, which a norm does not say in its terms.
            warnings.filterwarnings("ignore", message="Unsupported layer type .* encountered", category=UserWarning)
            return peft_plan(LNTuningConfig(target_modules=where), pretrained)
