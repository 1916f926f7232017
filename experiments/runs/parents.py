"""Runs that begin where others ended: with an adapted language model, or with what a run trained around a frozen one.

`parents=[RUN]` names finished runs of `runs_dir`. A parent that adapted a language model gives it; one that trained a
recommender gives every tensor of interest, head, projection and item ids. What a parent is enters the run's own id. A
parent that has learned from what its child is asked, or whose vectors are not the child's, is refused by name.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.config.check import ConfigError, nodes
from experiments.config.identity import Circumstances, essence
from experiments.config.pretrained import pretrained_digests
from experiments.config.ranker import trains
from experiments.runs.folder import RunFolder

LANGUAGE_MODEL = "language_model"
"""The folder in which a run that adapts leaves its model."""

FROZEN = "lightning_modules.strategies.frozen.FrozenStrategy"
CHILDS_OWN = ("path", "dropout")
"""Settings of a backbone in which a child may differ from the parent whose head it takes: the first is compared by the
files behind it, the second moves no vector."""


@dataclass(frozen=True)
class Parent:
    """A finished run that another one begins with."""

    folder: Path
    config: dict[str, Any]
    provenance: dict[str, Any]

    @classmethod
    def of(cls, folder: Path) -> "Parent | None":
        """None where it is no finished run."""
        result = RunFolder(folder).read("result.json")
        return cls(folder, result["config"], result["provenance"]) if result.get("status") == "done" else None

    @property
    def name(self) -> str:
        """Its id."""
        return self.folder.name

    @property
    def adapted(self) -> bool:
        """Whether it gives a language model, and not what stands around one."""
        return (self.folder / LANGUAGE_MODEL).is_dir()

    @property
    def made_from(self) -> str:
        """What it is for a child's identity: its own, without the words of its name, and the source that made it."""
        return f"{self.name.rpartition('-')[2]}-{self.provenance.get('source_digest')}"

    @property
    def origin(self) -> set[str]:
        """Digests of the models that it, or the first of the runs that it goes on from, was given."""
        before = (Parent.of(self.folder.with_name(name)) for name in self.config.get("parents") or ())
        first = next((one for one in before if one is not None and one.adapted), None)
        return set(self.provenance.get("pretrained_digest", {}).values()) if first is None else first.origin


def parent_folders(config: dict[str, Any]) -> list[Path]:
    """Where the parents lie: a run's id, or its path."""
    named = config.get("parents") or []
    return [Path(config["runs_dir"]) / Path(str(name)).name for name in ([named] if isinstance(named, str) else named)]


def adopt(config: dict[str, Any]) -> list[Parent]:
    """The parents, named by their ids in the configuration, the language model taken from the one that adapted it.
    Raises `ConfigError` for a parent that is not there, not finished, or has nothing that this run could take."""
    found = [(folder, Parent.of(folder)) for folder in parent_folders(config)]
    _refuse([f"{folder.name} is no finished run in {config['runs_dir']}" for folder, one in found if one is None])
    parents = [one for _, one in found if one is not None]
    config["parents"] = [one.name for one in parents]
    _refuse(_useless(config, parents))
    models = [node for _, node in nodes(config.get("backbone") or {}) if "path" in node]
    for parent in (one for one in parents if one.adapted):
        models[0]["path"] = str(parent.folder / LANGUAGE_MODEL)
    return parents


def _useless(config: dict[str, Any], parents: list[Parent]) -> list[str]:
    """Why parents have nothing for this run."""
    adapted, around = [one for one in parents if one.adapted], [one for one in parents if not one.adapted]
    faults = [
        f"{len(kind)} of them give the same, and a run begins with one" for kind in (adapted, around) if len(kind) > 1
    ]
    if adapted:
        models = pretrained_digests(config) if config.get("backbone") else {}
        faults += [f"{one.name} adapted a language model, and the backbone has none" for one in adapted if not models]
        faults += [
            f"{one.name} adapted another language model than the backbone's: choose the backbone that it began with"
            for one in adapted
            if models and one.origin != set(models.values())
        ]
    for one in around:
        if "adaptation" in config:
            faults.append(f"{one.name} adapted no language model, and nothing else of it could be used here")
        elif not trains(config):
            faults.append(f"{one.name} trained a recommender, and this scorer trains nothing that could begin with it")
        elif not trains(one.config):
            faults.append(f"{one.name} trained nothing")
        elif _tunes(one.config):
            faults.append(
                f"{one.name} tuned its language model, which is not handed on, and its head is for those vectors: name "
                "a run with strategy=frozen"
            )
    return faults


def require_akin(config: dict[str, Any], circumstances: Circumstances, parents: list[Parent]) -> None:
    """Raises `ConfigError` where a parent learned from what this run is asked, or learned around other vectors."""
    faults = []
    for one in parents:
        if one.adapted:
            if _source(one.config) == _source(config):  # of another corpus it has seen no answer
                faults += _informed(one, config, circumstances)
            continue
        faults += _informed(one, config, circumstances)
        if set(one.provenance.get("pretrained_digest", {}).values()) != set(circumstances.pretrained.values()):
            faults.append(
                f"{one.name} was trained around another language model: choose its own, and name its parents here too"
            )
        theirs, ours = _shape(one.config), _shape(config)
        faults += [
            f"{one.name} has backbone.{key}={theirs.get(key)}, this run {ours.get(key)}: its head is for other vectors"
            for key in sorted(theirs.keys() | ours.keys())
            if theirs.get(key) != ours.get(key)
        ]
    _refuse(faults)


def _informed(parent: Parent, config: dict[str, Any], circumstances: Circumstances) -> list[str]:
    """What a parent may know that this run must not."""
    faults = []
    if parent.provenance.get("data_digest") != circumstances.data:
        faults.append(
            f"{parent.name} learned from a corpus that was read or filtered otherwise: choose the same datamodule"
        )
    if essence(parent.config.get("split")) != essence(config.get("split")):
        faults.append(f"{parent.name} learned under another split, so from answers of this one: choose the same split")
    if not _labels_within(parent.config["datamodule"].get("few_shot"), config["datamodule"].get("few_shot")):
        faults.append(f"{parent.name} learned from labels that few_shot keeps from this run: give it the same few_shot")
    return faults


def _labels_within(theirs: dict[str, Any] | None, ours: dict[str, Any] | None) -> bool:
    """Whether all labels of a parent are this run's too: with the same rule and draw, fewer are among more."""
    if ours is None or theirs is None:
        return ours is None
    amount = next((key for key in ("users", "share", "events") if key in ours), "_target_")
    return (
        all(theirs.get(key) == value for key, value in ours.items() if key != amount) and theirs[amount] <= ours[amount]
    )


def _source(config: dict[str, Any]) -> Any:
    return essence(config["datamodule"].get("source"))


def _tunes(config: dict[str, Any]) -> bool:
    """Whether a run trained its language model, or a network that reads it."""
    models = any("path" in node for _, node in nodes(config.get("backbone") or {}))
    return models and (config.get("strategy") or {}).get("_target_") != FROZEN


def _shape(config: dict[str, Any]) -> dict[str, Any]:
    """The backbone's settings, those of a backbone within it too, that decide on its vectors."""
    return {
        f"{path}.{key}".removeprefix("backbone."): value
        for path, node in nodes(config["backbone"], "backbone")
        for key, value in node.items()
        if key not in CHILDS_OWN and not isinstance(value, dict)
    }


def _refuse(faults: list[str]) -> None:
    if faults:
        raise ConfigError([f"parents: {fault}" for fault in faults])
