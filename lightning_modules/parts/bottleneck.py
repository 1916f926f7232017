"""Bottleneck adapters as a method of peft, which it does not have itself.

A network (module `bottleneck_networks`) at a place (module `placement`), chosen by the configuration. Importing this
file makes the method known, so a folder that peft saved with it opens after `import
lightning_modules.parts.bottleneck`.
"""

from dataclasses import dataclass, field
from typing import Any, cast

from jaxtyping import Float
from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import Tensor, nn

from lightning_modules.parts.bottleneck_networks import ACTIVATIONS, KINDS, Bottleneck, network
from lightning_modules.parts.peft_methods import register, type_of
from lightning_modules.parts.placement import PLACEMENTS, Place, place_of

NAME = "bottleneck"


@dataclass
class BottleneckConfig(PeftConfig):
    """target_modules: what is wrapped, names or one regular expression. placement: sequential, parallel. network: its
    `kind` (dense, hypercomplex) and the settings of that kind. reduction: width / bottleneck, rounded down. scale: what
    the network's output is multiplied by."""

    target_modules: list[str] | str | None = field(default=None)
    placement: str = field(default="sequential")
    network: dict[str, Any] = field(default_factory=lambda: {"kind": "dense"})
    reduction: int = field(default=16)
    activation: str = field(default="relu")
    scale: float = field(default=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = type_of(NAME)
        _require("activation", self.activation, list(ACTIVATIONS))
        _require("placement", self.placement, list(PLACEMENTS))
        _require("network", self.network.get("kind"), list(KINDS))


class BottleneckLayer(nn.Module, BaseTunerLayer):
    """A module of the model, joined to the networks that are active; several add up.

    The inheritance is peft's: it finds, saves and switches adapters by `BaseTunerLayer`.
    """

    adapter_layer_names = (f"{NAME}_net",)
    other_param_names = ()
    base_layer: nn.Module
    bottleneck_net: nn.ModuleDict

    def __init__(self, base_layer: nn.Module, place: Place, adapter_name: str) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.place = place
        self.bottleneck_net = nn.ModuleDict()
        self._active_adapter = adapter_name

    def add(self, adapter_name: str, net: Bottleneck, inference_mode: bool) -> None:
        """Take a network in, where the module is."""
        self.bottleneck_net[adapter_name] = net
        device = next(self.base_layer.parameters()).device
        self._move_adapter_to_device_of_base_layer(adapter_name, device)  # type: ignore[operator]  # peft has no types
        self.set_adapter(self.active_adapters, inference_mode=inference_mode)  # type: ignore[operator]

    def forward(self, *inputs: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        if self.disable_adapters or not self._active():
            return self.base_layer(*inputs)
        return self.place.join(self.base_layer, self._change, *inputs)

    def _active(self) -> list[nn.Module]:
        names: list[str] = self.active_adapters  # type: ignore[assignment]
        return [self.bottleneck_net[name] for name in names if name in self.bottleneck_net]

    def _change(self, x: Float[Tensor, "*rest D"]) -> Float[Tensor, "*rest D"]:
        first, *others = [net(x) for net in self._active()]
        return sum(others, start=first)


class BottleneckModel(BaseTuner):
    """Finds the target modules and wraps them; everything else is peft's."""

    prefix = f"{NAME}_"
    tuner_layer_cls = BottleneckLayer
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012  # peft reads it from the class

    def _create_and_replace(
        self,
        peft_config: BottleneckConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
    ) -> None:
        module = target.base_layer if isinstance(target, BottleneckLayer) else target
        place = place_of(peft_config.placement, module, self.model)
        layer = target if isinstance(target, BottleneckLayer) else BottleneckLayer(target, place, adapter_name)
        layer.add(adapter_name, self._network(peft_config, adapter_name, place.width), peft_config.inference_mode)
        if layer is not target:
            if adapter_name not in self.active_adapters:
                layer.requires_grad_(False)
            self._replace_module(parent, target_name, layer, target)

    def _network(self, config: BottleneckConfig, adapter_name: str, width: int) -> Bottleneck:
        layers = (layer for layer in self.model.modules() if isinstance(layer, BottleneckLayer))
        earlier = (layer.bottleneck_net[adapter_name] for layer in layers if adapter_name in layer.bottleneck_net)
        first = cast(Bottleneck | None, next(earlier, None))
        settings: dict[str, Any] = {
            "reduction": config.reduction,
            "activation": config.activation,
            "scale": config.scale,
        }
        return network(width=width, first=first, **settings, **config.network)

    @classmethod
    def _remove_adapter_name_from_key(cls, key: str, adapter_name: str) -> str:
        """In a folder, keys know nothing of an adapter's name. peft's own rule finds it only right before the last
        part, where a network of one module has it."""
        return key.replace(f".{NAME}_net.{adapter_name}.", f".{NAME}_net.")


def _require(name: str, value: str | None, known: list[str]) -> None:
    if value not in known:
        raise ValueError(f"adapter {name} {value!r} is unknown: choose {', '.join(known)}")


register(NAME, BottleneckConfig, BottleneckModel)
