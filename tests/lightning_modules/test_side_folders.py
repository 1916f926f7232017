"""Networks beside a frozen model as methods of peft: their folders, and what peft does with a model that has them."""

import peft
import pytest
import torch
from safetensors.torch import load_file

from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.decoupled import IisanConfig
from lightning_modules.parts.ladder import SideConfig
from lightning_modules.parts.loading import load_encoder
from lightning_modules.parts.tapped import with_reading
from tests.lightning_modules.beside import FAMILIES, LENGTHS, build, over_families, perturb
from tests.lightning_modules.padding import pad

# peft 0.21.2 still asks transformers 5 under the old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@over_families
def test_a_side_folder_opens_with_peft_and_says_the_same_of_each_token(family, tiny_models, token_items, tmp_path):
    encoder, items = build("side", tiny_models[family]).eval(), token_items(*LENGTHS)
    perturb(encoder)
    encoder.plan.adapter.save_pretrained(tmp_path)
    opened = peft.PeftModel.from_pretrained(load_encoder(tiny_models[family]), tmp_path, adapter_name="other")
    tokens, mask = pad(items.tokens, 0)
    state = encoder.backbone.run(encoder.backbone.embed(items), 0, encoder.backbone.depth)
    for model in (opened, encoder.plan.adapter):
        said = model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        torch.testing.assert_close(said[mask], state.hidden, rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("family", FAMILIES[:6])
def test_an_iisan_folder_opens_with_peft_and_pools_as_it_was_trained(
    family, pooling, tiny_models, token_items, tmp_path
):
    encoder, items = build("iisan", tiny_models[family], pooling=pooling).eval(), token_items(*LENGTHS)
    perturb(encoder)
    encoder.plan.adapter.save_pretrained(tmp_path)
    opened = peft.PeftModel.from_pretrained(load_encoder(tiny_models[family]), tmp_path)
    assert opened.active_peft_config.pooling == pooling
    tokens, mask = pad(items.tokens, 0)
    said = opened(input_ids=tokens, attention_mask=mask.long())
    torch.testing.assert_close(said.pooler_output, encoder(items), rtol=0, atol=1e-5)
    assert said.last_hidden_state.shape == (*tokens.shape, 32)


def test_peft_switches_networks_as_it_does_adapters(tiny_models, token_items, tmp_path):
    folder, tokens = tiny_models["bert"], torch.randint(5, 200, (3, 7))
    for seed in (1, 2):
        encoder = build("side", folder, seed=seed)
        perturb(encoder)
        encoder.plan.adapter.save_pretrained(tmp_path / str(seed))
    assert not [key for key in load_file(tmp_path / "1" / "adapter_model.safetensors") if "default" in key]
    base = load_encoder(folder)(tokens).last_hidden_state
    alone = [peft.PeftModel.from_pretrained(load_encoder(folder), tmp_path / str(seed)) for seed in (1, 2)]
    one, two = (model(tokens).last_hidden_state for model in alone)
    model = peft.PeftModel.from_pretrained(load_encoder(folder), tmp_path / "1", adapter_name="one")
    model.load_adapter(tmp_path / "2", adapter_name="two")
    assert torch.equal(model(tokens).last_hidden_state, one)
    model.set_adapter("two")
    assert torch.equal(model(tokens).last_hidden_state, two)
    assert {name.split(".")[3] for name, p in model.named_parameters() if p.requires_grad} == {"two"}
    with model.disable_adapter():
        assert torch.equal(model(tokens).last_hidden_state, base)
    model.set_requires_grad("two", requires_grad=False)
    assert model.get_nb_trainable_parameters()[0] == 0
    with pytest.warns(UserWarning, match="Setting active adapter to one"):
        model.delete_adapter("two")
    assert torch.equal(model(tokens).last_hidden_state, one)
    assert not torch.allclose(one, two)


@pytest.mark.parametrize("taps", [[], [2], [0, 1], [0, 3], [1, 2], [0, 2, 2], [2, 0]])
def test_taps_of_another_model_are_refused(taps, tiny_models):
    model = LanguageModelBackbone(str(tiny_models["bert"])).pretrained
    with pytest.raises(ValueError, match="must ascend from 0, the embeddings, to 2, the last layer of BertModel"):
        peft.get_peft_model(model, SideConfig(taps=taps))
    if taps and taps[-1] != 2:
        with pytest.raises(ValueError, match="to 2, the last layer of BertModel"):
            with_reading(LanguageModelBackbone(str(tiny_models["bert"])), IisanConfig(taps=taps).build(32))
