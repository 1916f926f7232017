"""Messages of the libraries that say nothing true here, silenced one by one with the reason."""

import logging
import warnings

REASONS = {
    r".*isinstance\(treespec, LeafSpec\).*": "Lightning 2.6 calls torch's pytree in its former way",
    r"It is recommended to use .*sync_dist=True.*": "evaluated numbers are gathered before they are logged",
    r"Found \d+ module\(s\) in eval mode at the start of training.*": "what is frozen is meant to be in eval mode",
    r"Checkpoint directory .* exists and is not empty.*": "a run's folder holds its configuration",
    r"The number of training batches .* is smaller than the logging interval.*": "a small corpus",
    r"The '.*_dataloader' does not have many workers.*": "batches are index arithmetic; workers seldom pay",
    r"Experiment logs directory .* exists and is not empty.*": "a resumed run adds a version beside the former",
}


def silence() -> None:
    """Install the filters, and leave Lightning's warnings but not its chatter."""
    for message in REASONS:
        warnings.filterwarnings("ignore", message=message)
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
