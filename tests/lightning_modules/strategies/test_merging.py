"""A merged model is an ordinary one that says the same; what cannot be merged is refused with the reason."""

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.merging import mergeable, merged
from lightning_modules.parts.encoder import Encoder
from lightning_modules.strategies.frozen import FrozenStrategy
from tests.lightning_modules.strategies import pairs
from tests.lightning_modules.strategies.test_contract import REFUSED

STAY_OUTSIDE = {"houlsby", "pfeiffer", "parallel", "compacter", "prompt", "p_tuning", "prefix", "side", "iisan"}
over_every_pair = pytest.mark.parametrize(
    ("name", "family"),
    [
        pytest.param(*pair, id="-".join(pair), marks=() if pair[1] in ("bert", "gpt2") else pytest.mark.slow)
        for pair in pairs.PAIRS
        if pair not in REFUSED
    ],
)


@over_every_pair
def test_a_merged_folder_says_what_the_run_said(name, family, tiny_models, token_items, tmp_path):
    encoder = pairs.build(name, tiny_models[family])
    pairs.train(encoder, token_items)
    items = token_items(*pairs.LENGTHS)
    said = encoder.pooled(items)
    assert mergeable(encoder) == (name not in STAY_OUTSIDE)
    if name in STAY_OUTSIDE:
        with pytest.raises(ValueError, match="cannot be merged into the weights"):
            merged(encoder)
        return
    model = merged(encoder)
    assert not any(isinstance(part, BaseTunerLayer) for part in model.modules())
    model.save_pretrained(tmp_path)
    opened = Encoder(LanguageModelBackbone(str(tmp_path)), FrozenStrategy())
    torch.testing.assert_close(opened.pooled(items), said, rtol=0, atol=2e-5)
    assert torch.equal(encoder.pooled(items), said)  # merging left the run's own model alone
