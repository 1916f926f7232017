"""A merged model is an ordinary one that says the same; what cannot be merged is refused with the reason."""

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import AutoModel, T5EncoderModel

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
def test_a_merged_folder_says_what_the_run_said(name, family, folders, token_items, tmp_path):
    encoder = pairs.build(name, folders[name, family])
    pairs.train(encoder, token_items)
    items = token_items(*pairs.LENGTHS)
    said = encoder.pooled(items)
    assert mergeable(encoder) == (name not in STAY_OUTSIDE)
    if name in STAY_OUTSIDE:
        with pytest.raises(ValueError, match="cannot be merged into the weights"):
            merged(encoder)
        return
    base = pairs.build("frozen", folders[name, family]).pooled(items)
    assert bool(((said - base).abs().amax(1) > 1e-3).all()) == (name != "frozen")
    model = merged(encoder)
    assert not any(isinstance(part, BaseTunerLayer) for part in model.modules())
    model.save_pretrained(tmp_path)
    opened = Encoder(LanguageModelBackbone(str(tmp_path)), FrozenStrategy())
    torch.testing.assert_close(opened.pooled(items), said, rtol=0, atol=2e-5)
    plain = (T5EncoderModel if family == "t5" else AutoModel).from_pretrained(tmp_path).eval()
    with torch.no_grad():
        torch.testing.assert_close(pairs.own_forward(encoder, items, plain), said, rtol=0, atol=2e-5)
    assert torch.equal(encoder.pooled(items), said)  # merging left the run's own model alone


@pytest.mark.parametrize("family", pairs.FAMILIES)
@torch.no_grad()
def test_a_merged_matrix_of_lora_is_the_sum_of_its_parts(family, tiny_models):
    encoder = pairs.build("lora", tiny_models[family])
    pairs.perturb(encoder)
    base = pairs.pretrained_names(pairs.build("frozen", tiny_models[family]))
    found = dict(merged(encoder).named_parameters())
    parts = pairs.pretrained_names(encoder)
    downs = [name for name in parts if name.endswith(".lora_A.default.weight")]
    assert len(downs) == (2 if family == "gpt2" else 4)  # of 2 layers, query and value, which GPT-2 keeps in one
    for name in downs:
        place = name.removesuffix(".lora_A.default.weight")
        change = 16 / 8 * parts[name.replace("lora_A", "lora_B")] @ parts[name]
        change = change.T if family == "gpt2" else change
        assert float(change.abs().max()) > 1e-2
        torch.testing.assert_close(found[f"{place}.weight"], base[f"{place}.weight"] + change, rtol=0, atol=1e-6)
    changed = {f"{name.removesuffix('.lora_A.default.weight')}.weight" for name in downs}
    assert all(torch.equal(found[name], base[name]) for name in base if name not in changed)
