"""A bottleneck adapter as a peft method, which peft itself does not have.

Importing this file registers it, so a folder that peft saved with it opens after `import
lightning_modules.parts.bottleneck`. peft's registry asks for a member of its enum `PeftType`; the enum is closed, so
the member is added by hand. That relies on how Python and peft keep it, hence the check of peft's version.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import peft
from jaxtyping import Float
from peft import PeftConfig
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils import register_peft_method
from peft.utils.peft_types import PeftType
from torch import Tensor, nn

NAME = "bottleneck"
KNOWN_PEFT = ("0.21.",)

Activation = Literal["relu", "gelu", "tanh", "silu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh, "silu": nn.SiLU}


def _extend_peft_types() -> None:
    """Add the member BOTTLENECK to peft's enum, as the enum's own machinery would have."""
    if not peft.__version__.startswith(KNOWN_PEFT):
        raise ImportError(
            f"strategy=pfeiffer was made for peft {', '.join(KNOWN_PEFT)}x and this is {peft.__version__}: install "
            "'peft>=0.21,<0.22', or run the tests of parts/bottleneck.py and add the version to KNOWN_PEFT"
        )
    key = NAME.upper()
    member = str.__new__(PeftType, key)
    member._name_ = key
    member._value_ = key
    member.__objclass__ = PeftType
    member._sort_order_ = len(PeftType)
    PeftType._member_names_.append(key)
    PeftType._member_map_[key] = member
    PeftType._value2member_map_[key] = member
    type.__setattr__(PeftType, key, member)


if NAME.upper() not in list(PeftType):
    _extend_peft_types()


@dataclass
class BottleneckConfig(PeftConfig):
    """What is wrapped (`target_modules`: names or one regular expression), and width / bottleneck (`reduction`)."""

    target_modules: list[str] | str | None = field(default=None)
    reduction: int = field(default=16)
    activation: str = field(default="relu")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType(NAME.upper())
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"adapter activation {self.activation!r} is unknown: choose {', '.join(ACTIVATIONS)}")


class BottleneckLayer(nn.Module, BaseTunerLayer):
    """y = W x + b of the wrapped linear module becomes y + W_up f(W_down y); W_up and both biases start at zero.

    The inheritance is peft's: it finds, saves and switches adapters by `BaseTunerLayer`.
    """

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")
    other_param_names = ()
    base_layer: nn.Linear
    activation: nn.Module
    bottleneck_down: nn.ModuleDict
    bottleneck_up: nn.ModuleDict

    def __init__(self, base_layer: nn.Linear, adapter_name: str, config: BottleneckConfig) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.activation = ACTIVATIONS[config.activation]()
        self.bottleneck_down = nn.ModuleDict()
        self.bottleneck_up = nn.ModuleDict()
        self.merged_adapters: list[str] = []
        self._disable_adapters = False
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    def update_layer(self, adapter_name: str, config: BottleneckConfig) -> None:
        """Add an adapter; ValueError where the reduction leaves no bottleneck."""
        width = self.base_layer.out_features
        narrow = width // config.reduction
        if narrow < 1:
            raise ValueError(
                f"adapter reduction {config.reduction} leaves nothing of width {width}: give at most {width}"
            )
        down, up = nn.Linear(width, narrow), nn.Linear(narrow, width)
        for start in (down.bias, up.weight, up.bias):
            nn.init.zeros_(start)
        self.bottleneck_down[adapter_name] = down
        self.bottleneck_up[adapter_name] = up
        self._move_adapter_to_device_of_base_layer(adapter_name)  # type: ignore[operator]  # peft has no types
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)  # type: ignore[operator]

    def forward(self, x: Float[Tensor, "... I"], *args: Any, **kwargs: Any) -> Float[Tensor, "... O"]:
        y = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters:
            return y
        for name in self.active_adapters:  # type: ignore[union-attr]
            if name in self.bottleneck_down:
                y = y + self.bottleneck_up[name](self.activation(self.bottleneck_down[name](y)))
        return y


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
        if isinstance(target, BottleneckLayer):
            target.update_layer(adapter_name, peft_config)
            return
        if not isinstance(target, nn.Linear):
            raise ValueError(f"the adapter wraps linear modules, and {current_key} is a {type(target).__name__}")
        layer = BottleneckLayer(target, adapter_name, peft_config)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)


if PeftType(NAME.upper()) not in PEFT_TYPE_TO_TUNER_MAPPING:
    register_peft_method(name=NAME, config_cls=BottleneckConfig, model_cls=BottleneckModel)
