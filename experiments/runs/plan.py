"""What a composed configuration amounts to on this machine: which run it is and where it lies. Nothing is started."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from experiments.config import hardware
from experiments.config.adaptable import keep_what_adapts
from experiments.config.compose import CONF, as_config_error, plain
from experiments.config.identity import Circumstances, run_digest, run_name
from experiments.config.idle import require_one_ranker
from experiments.config.limits import require_within_limits
from experiments.config.monitor import is_in_question, require_measured
from experiments.config.precision import resolve
from experiments.config.pretrained import pretrained_digests
from experiments.config.ranker import trains
from experiments.config.trackers import require_trackers
from experiments.corpus import prepared_of
from experiments.runs.folder import RunFolder
from experiments.runs.parents import Parent, adopt, require_akin


@dataclass(frozen=True)
class Plan:
    """A run to be made. config: effective, precision and devices resolved. choices: the word chosen on each seam."""

    folder: RunFolder
    config: dict[str, Any]
    overrides: tuple[str, ...]
    choices: dict[str, str]
    circumstances: Circumstances

    @property
    def program(self) -> str:
        """Which program of `experiments` makes such runs."""
        return "adapt" if "adaptation" in self.config else "train"

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
            "parents": self.config["parents"],
            "choices": self.choices,
        }


def plan_words(words: Sequence[str], program: str = "train") -> Plan:
    """The plan of `python -m experiments.PROGRAM WORDS`, for programs that start runs themselves; not for two threads
    at a time, as Hydra has one state a process. Raises what `plan` does."""
    with as_config_error(), initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(program, list(words), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        return plan(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]), config.hydra)


def plan(config: DictConfig, hydra: DictConfig) -> Plan:
    """Check the configuration, prepare its data where that was not done before, and name the run.

    Raises `ConfigError` with all faults of the configuration or of the runs that it names as parents, `DataError` where
    the data cannot be used.
    """
    effective = plain(config)
    require_within_limits(effective)
    require_trackers(effective)
    if is_in_question(effective, hydra.overrides.task):
        require_measured(effective["monitor"], "monitor", effective)
    parents = adopt(effective)
    if "adaptation" in effective:
        keep_what_adapts(effective)
    else:
        require_one_ranker(effective)
    circumstances = _circumstances(effective, parents)
    require_akin(effective, circumstances, parents)
    choices = {key: value for key, value in hydra.runtime.choices.items() if value and not key.startswith("hydra")}
    name = run_name(effective, choices)
    folder = RunFolder(_folder(Path(effective["runs_dir"]), name, run_digest(effective, circumstances)))
    return Plan(folder, effective, tuple(hydra.overrides.task), choices, circumstances)


def _circumstances(config: dict[str, Any], parents: list[Parent]) -> Circumstances:
    """What determines the result beside the configuration, in which precision and devices are resolved on the way.

    A scorer in closed form counts and adds in one process, whatever the hardware offers to models.
    """
    trainer = config.get("trainer", {})
    accelerator, trained = trainer.get("accelerator", "auto"), trains(config)
    asked = trainer.get("precision", "auto") if trained else "32-true"
    precision = resolve(asked, accelerator, Path(config["cache_dir"]))
    devices = hardware.device_count(trainer.get("devices", 1), accelerator)
    if trainer:
        trainer |= {"precision": precision, "devices": devices}
    return Circumstances(
        data=prepared_of(config).digest,
        precision=str(precision),
        world_size=devices * trainer.get("num_nodes", 1) if trained else 1,
        pretrained=pretrained_digests(config),
        parents=tuple(parent.made_from for parent in parents),
    )


def _folder(runs_dir: Path, name: str, digest: str) -> Path:
    """The same run may have been named by other words before (a YAML of one's own with the same content)."""
    return next(iter(sorted(runs_dir.glob(f"[!.]*-{digest}"))), runs_dir / f"{name}-{digest}")
