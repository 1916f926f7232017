"""What a composed configuration amounts to on this machine: which run it is and where it lies. Nothing is started."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from datamodules.preparing.preparation import Filters, prepare
from datamodules.preparing.prepared import Prepared
from experiments.config import hardware
from experiments.config.compose import plain
from experiments.config.identity import Circumstances, run_digest, run_name
from experiments.config.idle import require_one_ranker
from experiments.config.instantiate import instantiate
from experiments.config.limits import require_within_limits
from experiments.config.precision import resolve
from experiments.config.pretrained import pretrained_digests
from experiments.runs.folder import RunFolder


@dataclass(frozen=True)
class Plan:
    """A run to be made. config: effective, precision and devices resolved. choices: the word chosen on each seam."""

    folder: RunFolder
    config: dict[str, Any]
    overrides: tuple[str, ...]
    choices: dict[str, str]
    circumstances: Circumstances

    @property
    def devices(self) -> int:
        """Processes of this run on one machine."""
        return int(self.config.get("trainer", {}).get("devices", 1))

    def record(self) -> dict[str, Any]:
        """What a run's provenance says of the plan."""
        return {
            "precision": self.circumstances.precision,
            "world_size": self.circumstances.world_size,
            "data_digest": self.circumstances.data,
            "pretrained_digest": self.circumstances.pretrained,
            "parents": list(self.circumstances.parents),
            "choices": self.choices,
        }


def plan(config: DictConfig, hydra: DictConfig) -> Plan:
    """Check the configuration, prepare its data where that was not done before, and name the run.

    Raises `ConfigError` with all faults of the configuration, `DataError` where the data cannot be used.
    """
    effective = plain(config)
    require_within_limits(effective)
    require_one_ranker(effective)
    circumstances = _circumstances(effective)
    choices = {key: value for key, value in hydra.runtime.choices.items() if value and not key.startswith("hydra")}
    name = run_name(effective, choices)
    folder = RunFolder(_folder(Path(effective["runs_dir"]), name, run_digest(effective, circumstances)))
    return Plan(folder, effective, tuple(hydra.overrides.task), choices, circumstances)


def _circumstances(config: dict[str, Any]) -> Circumstances:
    """What determines the result beside the configuration, in which precision and devices are resolved on the way.

    A scorer in closed form counts and adds in one process, whatever the hardware offers to models.
    """
    trainer = config.get("trainer", {})
    accelerator, trains = trainer.get("accelerator", "auto"), bool(config.get("backbone"))
    asked = trainer.get("precision", "auto") if trains else "32-true"
    precision = resolve(asked, accelerator, Path(config["cache_dir"]))
    devices = hardware.device_count(trainer.get("devices", 1), accelerator)
    if trainer:
        trainer |= {"precision": precision, "devices": devices}
    return Circumstances(
        data=prepared_of(config).digest,
        precision=str(precision),
        world_size=devices * trainer.get("num_nodes", 1) if trains else 1,
        pretrained=pretrained_digests(config),
        parents=tuple(config.get("parents", ())),
    )


def prepared_of(config: dict[str, Any]) -> Prepared:
    """The prepared corpus of a configuration, made now unless it lies in `cache_dir` already."""
    chosen = config["datamodule"]
    filters: Any = instantiate(chosen["filters"]) if "filters" in chosen else Filters()
    source: Any = instantiate(chosen["source"])
    return prepare(source, filters, Path(config["cache_dir"]))


def _folder(runs_dir: Path, name: str, digest: str) -> Path:
    """The same run may have been named by other words before (a YAML of one's own with the same content)."""
    return next(iter(sorted(runs_dir.glob(f"[!.]*-{digest}"))), runs_dir / f"{name}-{digest}")
