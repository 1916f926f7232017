"""Train the biases only."""

from torch import nn

from lightning_modules.types import Plan


class BitfitStrategy:
    """Every bias of the pretrained model trains, those of its norms too; everything else is frozen.

    Ben Zaken et al. 2022, "BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked
    Language-models". Nothing is injected, so step 0 is the pretrained model exactly. The bias of a key adds
    the same to every score of a query, which softmax ignores: it counts as trained, as in the paper, and does nothing.
    T5's table of biases on distances is a weight, not a bias.

    Raises ValueError for a model without biases, such as Llama, T5 and ModernBERT.
    """

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        names = frozenset(name for name, _ in pretrained.named_parameters() if name.rpartition(".")[2] == "bias")
        if not names:
            raise ValueError(
                f"BitfitStrategy trains biases, and {type(pretrained).__name__} has none: use strategy=layernorm, "
                "strategy=ia3, or a model with biases (minilm, bert_base)"
            )
        return Plan(identity="exact", trains=names.__contains__)
