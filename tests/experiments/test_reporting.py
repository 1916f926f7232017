"""What loggers are told at the end, in every process of a distributed run."""

import pytest
from pytorch_lightning.loggers.wandb import WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from experiments.reporting import build_loggers, conclude


def test_another_process_than_the_first_concludes_nothing(tmp_path, monkeypatch):
    """Its W&B is a dummy that has neither configuration nor summary; an exception there would kill the whole run."""
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    node = {"_target_": "pytorch_lightning.loggers.wandb.WandbLogger", "project": "p", "offline": True}
    config = {"logger": {"wandb": node}, "monitor": "valid/ndcg@10"}
    loggers = build_loggers(config, tmp_path)
    assert [type(logger) for logger in loggers] == [WandbLogger]
    with pytest.raises(AttributeError):
        loggers[0].experiment.config.update({})
    conclude(loggers, config, tmp_path, {"test/hr@10": 0.5})
