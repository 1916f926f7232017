"""What Hydra's launchers are asked, whichever it is."""

from omegaconf import DictConfig

from experiments.config.hardware import cores


def jobs_at_a_time(launcher: DictConfig) -> int:
    """How many jobs a launcher runs at a time on one machine; joblib's -1 means one per core. Those that hand jobs to
    other machines (submitit) are asked there, job by job."""
    jobs = int(launcher.get("n_jobs", 1))
    return jobs if jobs > 0 else cores()
