"""Values at the root that no signature checks are refused with the way out, all at once."""

import pytest

from experiments.config.check import ConfigError
from experiments.config.compose import compose
from experiments.config.limits import require_within_limits


def test_what_composes_by_default_is_within_the_limits():
    require_within_limits(compose([]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=-1"], r"seed: is -1; a seed is a whole number from 0 on"),
        (["trainer.max_epochs=0"], r"trainer\.max_epochs: is 0; a model trains for at least 1 epoch"),
        (["trainer.precision=16-mixed"], r"cannot be clipped \(trainer\.gradient_clip_val is 1\.0\); .*fused=false"),
        (["trainer.precision=16"], r"optimizer\.fused: is true, and with trainer\.precision=16 "),
        (["trainer.precision=bf16-true"], r"cannot take small steps; choose bf16-mixed"),
        (["trainer.precision=16-mixed", "seed=-1"], r"(?s)fused=false.*seed: is -1|seed: is -1.*fused=false"),
    ],
)
def test_what_is_beyond_them_is_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        require_within_limits(compose(words))


@pytest.mark.parametrize(
    "words",
    [
        ["trainer.precision=16-mixed", "optimizer.fused=false"],
        ["trainer.precision=16-mixed", "trainer.gradient_clip_val=null"],
        ["trainer.precision=bf16-mixed"],
        ["trainer.precision=16-mixed", "experiment=popularity"],
    ],
)
def test_float16_is_refused_only_where_a_fused_optimizer_is_clipped(words):
    require_within_limits(compose(words))
