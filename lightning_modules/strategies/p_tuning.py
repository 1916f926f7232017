"""Train a small network that makes the vectors in front of each text."""

from peft import PromptEncoderConfig
from torch import nn

from lightning_modules.parts.prompt_learning import at_least, prompt_sizes, virtual_plan
from lightning_modules.types import Plan


class PTuningStrategy:
    """The word vectors X of a text become [P; X], with P = W3 relu(W2 relu(W1 e + b1) + b2) + b3 of trained vectors e.

    Liu et al. 2021, "GPT Understands, Too" (the prompt encoder, section 3.2 of the first version): independent vectors
    are hard to optimise, so a network that all of them share makes them. By peft, with its MLP. Departures: the paper's
    network is a bidirectional LSTM and an MLP of two layers; its vectors stand at places of a template, with words
    between them that were chosen by hand for a task, ours all in front of the text. Of what is trained P alone is
    saved.

    virtual_tokens: rows of P, at least 1. hidden: width of the network, at least 1; e is as wide as a word's vector.
    The identity is `none`: whatever P holds, words attend to it and stand in later places; e and the network start at
    random. Raises ValueError for a model that is not read layer by layer.
    """

    def __init__(self, virtual_tokens: int = 5, hidden: int = 128) -> None:
        self.virtual_tokens = at_least(1, virtual_tokens, "PTuningStrategy", "virtual_tokens")
        self.hidden = at_least(1, hidden, "PTuningStrategy", "hidden")

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        sizes = prompt_sizes("PTuningStrategy", pretrained, layers)
        config = PromptEncoderConfig(num_virtual_tokens=self.virtual_tokens, encoder_hidden_size=self.hidden, **sizes)
        return virtual_plan(config, pretrained)
