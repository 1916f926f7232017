"""Networks beside a frozen model as methods of peft, which itself puts modules only inside.

The tuner holds the networks and has the model say its hidden states; the model stays as it is, to the last module. So
what peft saves is the network alone, and a folder opens once the file of its configuration is imported.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

import torch
from jaxtyping import Bool, Float
from peft import PeftConfig, PeftModel
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import ModelOutput

from lightning_modules.parts.injection import peft_plan
from lightning_modules.parts.pooling import build_pooling
from lightning_modules.parts.runs import rectangles, runs_of
from lightning_modules.types import Identity, Plan, PooledReading, TokenReading


class ReadingConfig(Protocol):
    """Also a `PeftConfig`. `build`: its network, for states of a width; it raises ValueError where it cannot."""

    taps: list[int]
    inference_mode: bool

    def build(self, width: int) -> nn.Module: ...


class Readings(nn.Module, BaseTunerLayer):
    """A network for each adapter's name. The inheritance is peft's: it switches adapters by `BaseTunerLayer`."""

    adapter_layer_names = ("networks",)

    def __init__(self) -> None:
        super().__init__()
        self.networks = nn.ModuleDict()


class ReadingModel(BaseTuner):
    """Reads a frozen model's hidden states with one of the networks.

    Its forward is the model's, on input padded on any side: a network that reads tokens takes the place of
    `last_hidden_state`, and leaves that of padding as the model says it; one that reads pooled vectors gives
    `pooler_output`, before any whitening or projection. Both come with all `hidden_states`, never as a tuple.
    """

    tuner_layer_cls = Readings
    readings: Any  # a `Readings`; peft has no types

    def forward(self, *args: Any, **kwargs: Any) -> ModelOutput:
        """`attention_mask` says which tokens are the texts' own; without it all are."""
        if self.readings.disable_adapters or not self.active_adapters:
            return cast(ModelOutput, self.model(*args, **kwargs))
        said = self.model(*args, **(kwargs | {"output_hidden_states": True, "return_dict": True}))
        last, mask, name = said.last_hidden_state, kwargs.get("attention_mask"), self.active_adapters[0]
        network, config = self.readings.networks[name], self.peft_config[name]
        own = last.new_ones(last.shape[:2], dtype=torch.bool) if mask is None else mask.bool()
        states = torch.cat([(*said.hidden_states[:-1], last)[tap][own] for tap in config.taps], dim=-1).float()
        runs = runs_of(own.sum(1).tolist())
        if isinstance(network, TokenReading):
            said.last_hidden_state = _put(network.tokens(states, runs), last, own)
            return cast(ModelOutput, said)
        pooling = build_pooling(str(config.pooling), last.shape[-1])
        pooled = torch.cat([pooling(texts) for texts in rectangles(states, runs)])
        vectors = cast(PooledReading, network).pooled(pooled)
        return BaseModelOutputWithPooling(last, vectors, said.hidden_states, said.get("attentions"))

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        """Build the network of a configuration. Raises ValueError where its taps are not the model's."""
        config: Any = self.peft_config[adapter_name]
        size: Any = model.config
        require_taps(config.taps, size.num_hidden_layers, type(model).__name__)
        with torch.device(next(model.parameters()).device):
            self.readings.networks[adapter_name] = config.build(size.hidden_size)
        model.requires_grad_(False)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def set_adapter(self, adapter_name: str | list[str], inference_mode: bool = False) -> None:
        """The one that reads, and trains unless it is for inference."""
        self.readings.set_adapter(adapter_name, inference_mode=inference_mode)
        self.active_adapter = adapter_name

    def set_requires_grad(self, adapter_names: str | Sequence[str], requires_grad: bool = True) -> None:
        """Of the networks."""
        self.readings.set_requires_grad(adapter_names, requires_grad)

    def delete_adapter(self, adapter_name: str) -> None:
        """Forget a network."""
        del self.peft_config[adapter_name]
        self.readings.delete_adapter(adapter_name)
        self.active_adapter = self.readings.active_adapters

    def _enable_adapter_layers(self, enabled: bool = True) -> None:
        self.readings.enable_adapters(enabled)

    def _pre_injection_hook(self, model: nn.Module, config: PeftConfig, adapter_name: str) -> None:
        self.readings = Readings()

    def _create_and_replace(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("nothing within the model is replaced")

    @classmethod
    def _remove_adapter_name_from_key(cls, key: str, adapter_name: str) -> str:
        """peft looks for the name at the end of a key alone, and would save `default` into the names of the network's
        own parts, which then load under no other name."""
        return key.replace(f".networks.{adapter_name}.", ".networks.")


def reading_plan(config: PeftConfig, model: nn.Module, identity: Identity) -> Plan:
    """Train a network beside the model, and nothing in it."""
    plan = peft_plan(config, model, identity)
    tuner = cast(ReadingModel, cast(PeftModel, plan.adapter).base_model)
    return replace(plan, reading=cast(Any, tuner.readings.networks[tuner.active_adapters[0]]))


def require_taps(taps: Sequence[int], depth: int, name: str) -> None:
    """Raise ValueError unless the taps ascend from the embeddings to the last layer."""
    if list(taps) != sorted(set(taps)) or len(taps) < 2 or taps[0] != 0 or taps[-1] != depth:
        raise ValueError(f"taps={list(taps)} must ascend from 0, the embeddings, to {depth}, the last layer of {name}")


def _put(tokens: Float[Tensor, "L D"], into: Float[Tensor, "U S D"], where: Bool[Tensor, "U S"]) -> Tensor:
    whole = into.clone()
    whole[where] = tokens.to(into.dtype)
    return whole
