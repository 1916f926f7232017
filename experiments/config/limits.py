"""Values at the root that no signature checks, refused before anything is prepared or written."""

from typing import Any

from experiments.config.check import ConfigError
from experiments.config.ranker import trains


def require_within_limits(config: dict[str, Any]) -> None:
    """Raise `ConfigError` with every fault: a seed that is no whole number from 0 on, a training without epochs, an
    optimizer whose gradients cannot be clipped, weights in half precision."""
    faults = [*_unclippable(config), *_coarse(config)] if trains(config) else []
    seed = config.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        faults.append(f"seed: is {seed!r}; a seed is a whole number from 0 on (several want a sweep: -m seed=0,1,2)")
    trainer = config.get("trainer") or {}
    epochs, steps = trainer.get("max_epochs", 1), trainer.get("max_steps", -1)
    endless = epochs in (None, -1)
    if trains(config) and ((not endless and epochs < 1) or (endless and steps < 1)):
        faults.append(f"trainer.max_epochs: is {epochs}; a model trains for at least 1 epoch")
    if faults:
        raise ConfigError(faults)


def _coarse(config: dict[str, Any]) -> list[str]:
    """Weights of eight or eleven bits stand still where a step is smaller than their last one."""
    precision = str((config.get("trainer") or {}).get("precision"))
    if precision not in ("bf16-true", "16-true"):
        return []
    mixed = precision.replace("true", "mixed")
    return [f"trainer.precision: is {precision}, in which weights cannot take small steps; choose {mixed}"]


def _unclippable(config: dict[str, Any]) -> list[str]:
    """Float16 needs a scale on the loss, which a fused optimizer takes off within its step, after clipping."""
    trainer = config.get("trainer") or {}
    scaled, limit = str(trainer.get("precision")) in ("16", "16-mixed"), trainer.get("gradient_clip_val")
    if not (scaled and limit and (config.get("optimizer") or {}).get("fused")):
        return []
    return [
        f"optimizer.fused: is true, and with trainer.precision={trainer['precision']} a fused optimizer's gradients "
        f"cannot be clipped (trainer.gradient_clip_val is {limit}); choose optimizer.fused=false or bf16-mixed"
    ]
