"""Train a factor for each key, each value and each inner activation."""

from peft import IA3Config
from torch import nn

from lightning_modules.parts.families import pattern_of
from lightning_modules.parts.injection import ending, peft_plan
from lightning_modules.parts.low_rank import stored_transposed
from lightning_modules.types import Plan

ROLES = ("key", "value", "feed_forward_output")


class Ia3Strategy:
    """Keys become l_k * k, values l_v * v, and what enters the second feed-forward matrix becomes l_ff * it.

    Liu et al. 2022, "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning",
    section 3.3. By peft. All factors start at one, so step 0 is the pretrained model exactly. Biases of keys and values
    are scaled with them.

    GPT-2 and ModernBERT keep query, key and value in one matrix, and peft scales all that comes out of it. Queries meet
    keys in a product, so with GPT-2 their factors multiply the keys' and every function that training can reach is one
    of the paper's; it has more parameters and another speed. With ModernBERT rotations stand between the two, so a few
    more functions can be reached.

    Raises ValueError for a model of a family that is not known.
    """

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        key, value, inner = (ending(pattern_of(role, "Ia3Strategy", pretrained)) for role in ROLES)
        where = "|".join(dict.fromkeys((key, value, inner)))
        turned = stored_transposed(where, pretrained)
        config = IA3Config(target_modules=where, feedforward_modules=inner, fan_in_fan_out=turned)
        return peft_plan(config, pretrained)
