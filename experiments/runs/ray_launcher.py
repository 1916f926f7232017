"""Jobs of a sweep on a Ray cluster, or on this machine by Ray: hydra/launcher=ray.

The published plugin for Ray wants an older cloudpickle than joblib does, so both cannot be installed together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

NAME = "hydra_plugins.interestlab"
"""Hydra takes plugins of this package alone."""


class RayLauncher(Launcher):
    """Hands every job to Ray at once, which starts it where its resources are free.

    init: of `ray.init`, such as address or num_cpus. resources: of each job, such as num_cpus and num_gpus; of the GPUs
    that Ray gives a job it leases its own. A job that raises is its own: the others go on, as with every launcher.
    """

    def __init__(self, init: Mapping[str, Any] | None = None, resources: Mapping[str, Any] | None = None) -> None:
        self.init, self.resources = _plain(init), _plain(resources)
        self.context: HydraContext
        self.task: TaskFunction
        self.config: DictConfig

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """What Hydra tells a launcher."""
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Wait for all, in the order of the jobs."""
        import ray  # heavy, and wanted by who chooses this launcher alone

        setup_globals()
        started = not ray.is_initialized()
        if started:
            ray.init(**({"include_dashboard": False, "log_to_driver": True} | self.init))
        try:
            remote = ray.remote(_run).options(**({"num_cpus": 1} | self.resources))
            jobs = [
                remote.remote(
                    self.context, self.config, list(words), initial_job_idx + place, self.task, Singleton.get_state()
                )
                for place, words in enumerate(job_overrides)
            ]
            return list(ray.get(jobs))
        finally:
            if started:
                ray.shutdown()


def _run(
    context: HydraContext, master: DictConfig, words: list[str], number: int, task: TaskFunction, state: Any
) -> JobReturn:
    """One job in a process of Ray's."""
    setup_globals()
    Singleton.set_state(state)
    config = context.config_loader.load_sweep_config(master, words)
    with open_dict(config):
        config.hydra.job.id = config.hydra.job.num = number
    return run_job(
        hydra_context=context,
        task_function=task,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def _plain(node: Mapping[str, Any] | None) -> dict[str, Any]:
    made = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else dict(node or {})
    assert isinstance(made, dict)
    return {str(key): value for key, value in made.items()}


def register() -> None:
    """Make the launcher known to Hydra."""
    RayLauncher.__module__ = NAME
    Plugins.instance().register(RayLauncher)
