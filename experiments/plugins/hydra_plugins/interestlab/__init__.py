"""Jobs of a sweep on a Ray cluster, or on this machine by Ray: hydra/launcher=ray.

It lies here because Hydra takes launchers of the namespace `hydra_plugins` alone. The published plugin for Ray wants an
older cloudpickle than joblib does, so both cannot be installed together.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

HABITS = {
    "RAY_DEDUP_LOGS": "0",  # jobs say the same things, and each is wanted
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a job without GPUs of Ray's own leases one, as with joblib
    "RAY_worker_niceness": "0",  # else jobs yield to everything else on the machine
}
"""How Ray behaves unless the environment says otherwise."""
QUIET = {"include_dashboard": False, "logging_level": "warning"}
CARRIED = ("PYTHONPATH", "INTERESTLAB_", "HF_", "HYDRA_", "WANDB_", "MLFLOW_", "OMP_", "MKL_", "OPENBLAS_", *HABITS)
"""Beginnings of the names of what jobs read from the environment. Workers of a Ray that runs already have that of the
shell in which it was started."""


class RayLauncher(Launcher):
    """Hands every job to Ray at once, which starts it where its resources are free.

    init: of `ray.init`, such as address or num_cpus. resources: of each job, such as num_cpus and num_gpus; of the GPUs
    that Ray shows a job (CUDA_VISIBLE_DEVICES) it leases its own. What is null is Ray's to choose. A job that raises is
    its own: the others go on, as with every launcher. A Ray that was started here ends here, however the sweep ends.
    Jobs have the modules, variables (`CARRIED`) and working folder of this process, whoever started Ray.
    """

    def __init__(self, init: Mapping[str, Any] | None = None, resources: Mapping[str, Any] | None = None) -> None:
        self.init, self.resources = _chosen(init), _chosen(resources)
        self.context: HydraContext
        self.task: TaskFunction
        self.config: DictConfig

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """What Hydra tells a launcher."""
        self.context, self.task, self.config = hydra_context, task_function, config

    def _settle(self) -> None:
        """Ray reads its environment once, when it is imported."""
        own = "address" not in self.init and "RAY_ADDRESS" not in os.environ
        wanted = HABITS | ({"RAY_AUTH_MODE": "token"} if own else {})  # what Ray chooses then, with a warning
        os.environ.update({name: value for name, value in wanted.items() if name not in os.environ})

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Wait for all, in the order of the jobs."""
        self._settle()
        try:
            import ray  # heavy, and wanted by who chooses this launcher alone
        except ImportError:
            raise SystemExit('error: hydra/launcher=ray needs Ray: pip install -e ".[ray]"') from None
        setup_globals()
        started = not ray.is_initialized()
        try:
            if started:
                ray.init(**(QUIET | self.init | {"runtime_env": self._environment()}))
            # A worker sees its first job's GPUs for ever: CUDA reads which are visible once a process.
            options = {"num_cpus": 1, "max_calls": 1, "max_retries": 0} | self.resources
            remote = ray.remote(**options)(_run)
            jobs = [
                remote.remote(
                    *(Path.cwd(), self.context, self.config, list(words), initial_job_idx + place),
                    *(self.task, Singleton.get_state()),
                )
                for place, words in enumerate(job_overrides)
            ]
            return [_settled(ray, job) for job in jobs]
        finally:
            if started:
                ray.shutdown()

    def _environment(self) -> dict[str, Any]:
        """What Ray sets up for jobs: what `init` says of it, and the variables."""
        chosen = self.init.get("runtime_env", {})
        carried = {name: value for name, value in os.environ.items() if name.startswith(CARRIED)}
        return {**chosen, "env_vars": carried | chosen.get("env_vars", {})}


def _settled(ray: Any, job: Any) -> JobReturn:
    """What became of a job; one whose process died leaves the others to go on. Its run counts no failure and can be
    resumed, for the process that would have recorded it is gone."""
    try:
        return ray.get(job)
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines()
        # of an exception in the job the last line says which, after the way to it; advice follows all others
        said = lines[-1 if isinstance(error, ray.exceptions.RayTaskError) else 0] if lines else type(error).__name__
        sys.stderr.write(f"error: a job was lost: {said}\n")
        lost = JobReturn()
        lost.status, lost.return_value = JobStatus.COMPLETED, False  # of another one Hydra would raise
        return lost


def _run(
    place: Path,
    context: HydraContext,
    master: DictConfig,
    words: list[str],
    number: int,
    task: TaskFunction,
    state: Any,
) -> JobReturn:
    """One job in a process of Ray's. place: the folder that its relative paths are of."""
    os.chdir(place)
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


def _chosen(node: Mapping[str, Any] | None) -> dict[str, Any]:
    made = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else dict(node or {})
    assert isinstance(made, dict)
    return {str(key): value for key, value in made.items() if value is not None}
