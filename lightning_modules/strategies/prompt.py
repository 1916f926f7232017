"""Train some vectors that stand in front of each text as if they were words."""

from peft import PromptTuningConfig, PromptTuningInit
from torch import nn

from lightning_modules.parts.prompt_learning import at_least, prompt_sizes, virtual_plan
from lightning_modules.types import Plan


class PromptStrategy:
    """The word vectors X (S, E) of a text become [P; X], with P (virtual_tokens, E) trained and all else frozen.

    Lester et al. 2021, "The Power of Scale for Parameter-Efficient Prompt Tuning", section 2; by peft. P takes the
    first places of a text: its words move behind it and lose as many of the model's positions. Pooling leaves it out.

    P starts as the vectors of words drawn from the vocabulary, which have the right size in every model, and do better
    than random ones in the paper (figure 3b). The entries of peft's random ones, N(0, 1), are 18 times as large as
    those of MiniLM's words, and hardly move. Departures: the paper draws from the 5,000 most frequent tokens, peft from
    all; its prompts have 1 to 150 tokens, ours few, since a title has about ten. The identity is `none`: whatever P
    holds, words attend to it and stand in later places. With 5 tokens the vectors of MiniLM start with a cosine of 0.82
    with the pretrained model's own.

    virtual_tokens: rows of P, at least 1. Raises ValueError for a model that is not read layer by layer.
    """

    def __init__(self, virtual_tokens: int = 5) -> None:
        self.virtual_tokens = at_least(1, virtual_tokens, "PromptStrategy", "virtual_tokens")

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        sizes = prompt_sizes("PromptStrategy", pretrained, layers)
        vocabulary = PromptTuningInit.SAMPLE_VOCAB
        config = PromptTuningConfig(num_virtual_tokens=self.virtual_tokens, prompt_tuning_init=vocabulary, **sizes)
        return virtual_plan(config, pretrained)
