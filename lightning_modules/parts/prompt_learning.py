"""A plan for what peft calls prompt learning: virtual tokens, which belong to no module that the model has."""

from dataclasses import replace
from typing import Any, cast

from peft import PeftModel, PrefixTuningConfig, PromptLearningConfig
from torch import nn
from transformers import PreTrainedModel

from lightning_modules.parts.injection import peft_plan
from lightning_modules.parts.virtual_tokens import NAME, Prefix, Prompt, attach
from lightning_modules.types import Plan


def virtual_plan(config: PromptLearningConfig, model: nn.Module) -> Plan:
    """Attach the virtual tokens that a configuration of peft makes; they alone train, and whatever makes them.

    Their identity is `none`: a virtual token takes its part of every softmax from the words whatever it holds, and
    moves the words to later positions.
    """
    plan = peft_plan(config, model, identity="none")
    adapter = cast(PeftModel, plan.adapter)
    attach(model, Prefix(adapter) if isinstance(config, PrefixTuningConfig) else Prompt(adapter))
    names = frozenset(name for name, _ in model.named_parameters() if name.startswith(f"{NAME}."))
    return replace(plan, trains=names.__contains__)


def prompt_sizes(strategy: str, model: nn.Module, layers: list[nn.Module]) -> dict[str, int]:
    """What peft has to know of a model to make vectors in the place of words, and looks up under the names of some
    families only. `token_dim`, the size of a word's vector, is in ELECTRA not that of the layers."""
    width = _layered(strategy, model, layers).get_input_embeddings().embedding_dim
    return {"token_dim": width, "num_layers": len(layers), "num_attention_heads": 1}


def prefix_sizes(strategy: str, model: nn.Module, layers: list[nn.Module]) -> dict[str, int]:
    """What peft has to know of a model to make keys and values. Several heads of queries may share one of keys, and in
    T5 and Qwen 3 all heads together may be wider or narrower than a token."""
    config: Any = _layered(strategy, model, layers).config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return {"token_dim": heads * size, "num_layers": len(layers), "num_attention_heads": heads}


def at_least(low: int, value: int, strategy: str, name: str) -> int:
    """The value; ValueError where it lies below `low`."""
    if value < low:
        raise ValueError(f"{strategy} {name}={value} must be at least {low}")
    return value


def _layered(strategy: str, model: nn.Module, layers: list[nn.Module]) -> PreTrainedModel:
    """The model. Raises ValueError where it goes in one piece: virtual tokens would be lost on the way."""
    if not isinstance(model, PreTrainedModel) or any(layer is model for layer in layers):
        kind = getattr(getattr(model, "config", None), "model_type", "no language model")
        raise ValueError(
            f"{strategy} puts virtual tokens in between a model's parts, and {type(model).__name__} ({kind}) is not "
            "read layer by layer: use strategy=lora, or a backbone that is, such as minilm or bert_base"
        )
    return model
