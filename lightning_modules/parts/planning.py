"""Which parameters of a backbone a strategy lets train, and from which layer on."""

from dataclasses import replace
from typing import cast

from torch import nn

from lightning_modules.parts.families import idle_names
from lightning_modules.parts.virtual_tokens import prefixes
from lightning_modules.types import Backbone, Plan, Strategy


def as_module(backbone: Backbone) -> nn.Module:
    """A backbone is a module as well, which a protocol cannot say."""
    return cast(nn.Module, backbone)


def plan_of(backbone: Backbone, strategy: Strategy) -> Plan:
    """The strategy's plan. Where nothing is pretrained, holding anything back means nothing and is refused."""
    if backbone.pretrained is not None:
        return _without_idle(strategy.plan(backbone.pretrained, backbone.layers), backbone.pretrained)
    try:
        plan = strategy.plan(nn.Linear(1, 1, bias=False), [])
    except ValueError:
        plan = None
    if plan is None or not plan.trains("weight"):
        raise ValueError(
            f"{type(strategy).__name__} changes a pretrained model and {type(backbone).__name__} has none: "
            "use strategy=full, or a backbone with a language model (minilm, bert_base, hybrid)"
        )
    return plan


def _without_idle(plan: Plan, model: nn.Module) -> Plan:
    """Parameters that nothing depends on do not train: they would count as trained, and decay."""
    idle = idle_names(model)
    return replace(plan, trains=lambda name: name not in idle and plan.trains(name)) if idle else plan


def names_within(backbone: Backbone) -> dict[str, str]:
    """Names of parameters in the backbone -> their names in the pretrained module, for those that are in it."""
    if backbone.pretrained is None:
        return {}
    inner = {id(parameter): name for name, parameter in backbone.pretrained.named_parameters()}
    return {name: inner[id(p)] for name, p in as_module(backbone).named_parameters() if id(p) in inner}


def trains_outside_layers(backbone: Backbone) -> bool:
    """Whether embeddings train, or anything else of the pretrained module that is in no layer. A prefix is in all."""
    if backbone.pretrained is None:
        return False
    inside = {id(p) for part in (*backbone.layers, *prefixes(backbone.pretrained)) for p in part.parameters()}
    return any(p.requires_grad and id(p) not in inside for p in backbone.pretrained.parameters())


def lowest_trained(backbone: Backbone) -> int:
    """The first layer in which anything trains; their number where nothing does."""
    if backbone.pretrained is not None and prefixes(backbone.pretrained):
        return 0
    for index, layer in enumerate(backbone.layers):
        if any(parameter.requires_grad for parameter in layer.parameters()):
            return index
    return len(backbone.layers)
