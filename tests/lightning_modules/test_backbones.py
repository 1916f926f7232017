"""A backbone read layer by layer is the model that it was; what comes after it is plain arithmetic."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor
from torch.nn import Dropout
from transformers import BartConfig, BertConfig, BertModel, OPTConfig, PreTrainedModel

from datamodules.types import Items
from lightning_modules.backbones.hybrid import HybridBackbone
from lightning_modules.backbones.item_id import ItemIdBackbone
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.loading import replace_dropout
from lightning_modules.parts.pooling import build_pooling
from tests.lightning_modules.padding import pad

MODELS = {
    "bert": 2,
    "roberta": 2,
    "xlm-roberta": 2,
    "camembert": 2,
    "electra": 2,
    "distilbert": 2,
    "modernbert": 2,
    "t5": 2,
    "mt5": 2,
    "albert": 1,
    "gpt2": 2,
    "llama": 2,
}
MODELS |= {"mistral": 2, "qwen2": 2, "qwen3": 2}
LENGTHS = (9, 3, 20, 3, 12)


def by_layers(backbone: LanguageModelBackbone, items: Items) -> Tensor:
    """Last hidden states of the real tokens, one layer at a time."""
    state = backbone.embed(items)
    for layer in range(backbone.depth):
        state = backbone.run(state, layer, layer + 1)
    return state.hidden


def vectors_of(backbone, items: Items) -> Tensor:
    """All the way, without an encoder around it."""
    pooled = backbone.pool(backbone.run(backbone.embed(items), 0, backbone.depth))
    return backbone.final(items.ids, backbone.settle(pooled))


def by_model(backbone: LanguageModelBackbone, items: Items) -> Tensor:
    """The same from the model's own forward."""
    tokens, mask = pad(items.tokens, backbone.pretrained.config.pad_token_id or 0)
    return backbone.pretrained(input_ids=tokens, attention_mask=mask.long()).last_hidden_state[mask]


@pytest.mark.parametrize("name", MODELS)
def test_layer_by_layer_equals_the_models_own_forward(name: str, tiny_models: dict, token_items: Callable) -> None:
    backbone = LanguageModelBackbone(str(tiny_models[name]))
    assert backbone.depth == MODELS[name]
    assert backbone.packs == (name != "albert")
    torch.testing.assert_close(
        by_layers(backbone, token_items(*LENGTHS)), by_model(backbone, token_items(*LENGTHS)), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("name", MODELS)
def test_layer_by_layer_equals_the_forward_after_a_perturbation(
    name: str, tiny_models: dict, token_items: Callable
) -> None:
    backbone = LanguageModelBackbone(str(tiny_models[name]))
    before = by_layers(backbone, token_items(*LENGTHS))
    with torch.no_grad():
        for parameter in backbone.pretrained.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    after = by_layers(backbone, token_items(*LENGTHS))
    assert (after - before).abs().max() > 0.1
    torch.testing.assert_close(after, by_model(backbone, token_items(*LENGTHS)), rtol=0, atol=1e-5)


def test_layer_by_layer_equals_the_forward_of_real_minilm(minilm_path: Path, token_items: Callable) -> None:
    backbone = LanguageModelBackbone(str(minilm_path))
    items = token_items(*LENGTHS)
    assert (backbone.depth, backbone.dim) == (6, 384)
    # Padded rows have another shape, which rounds differently: 3e-6 at most on states of size 1.
    torch.testing.assert_close(by_layers(backbone, items), by_model(backbone, items), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_layers_in_two_runs_equal_one_run(name: str, tiny_models: dict, token_items: Callable) -> None:
    backbone = LanguageModelBackbone(str(tiny_models[name]))
    state = backbone.embed(token_items(*LENGTHS))
    whole = backbone.run(state, 0, backbone.depth)
    for middle in range(backbone.depth + 1):
        parts = backbone.run(backbone.run(state, 0, middle), middle, backbone.depth)
        assert torch.equal(parts.hidden, whole.hidden)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("pooling", ["mean", "cls", "attention"])
def test_texts_of_other_lengths_are_invisible(
    name: str, pooling: str, tiny_models: dict, token_items: Callable
) -> None:
    backbone = LanguageModelBackbone(str(tiny_models[name]), pooling=pooling)
    items = token_items(*LENGTHS)

    def vectors(some: Items) -> Tensor:
        return vectors_of(backbone, some)

    alone = torch.cat([vectors(items.take(torch.tensor([row]))) for row in range(len(LENGTHS))])
    torch.testing.assert_close(vectors(items), alone, rtol=0, atol=1e-6)


def test_half_precision_weights_are_loaded_whole_in_eval_mode_and_without_a_pooler(tmp_path: Path) -> None:
    config = BertConfig(vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertModel(config).half().save_pretrained(tmp_path)
    model = LanguageModelBackbone(str(tmp_path)).pretrained
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not model.training
    assert model.pooler is None


def test_a_folder_with_missing_weights_is_refused(tmp_path: Path) -> None:
    config = BertConfig(vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertModel(config).save_pretrained(tmp_path)
    config.num_hidden_layers = 2
    config.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"lacks 16 weights of BertModel, such as encoder\.layer\.1"):
        LanguageModelBackbone(str(tmp_path))


def test_an_empty_folder_and_a_decoder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no config.json"):
        LanguageModelBackbone(str(tmp_path))
    BartConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="bart is an encoder with a decoder"):
        LanguageModelBackbone(str(tmp_path))


def test_what_a_t5s_decoder_says_first_can_be_the_vector(tiny_models: dict, token_items: Callable) -> None:
    backbone, items = LanguageModelBackbone(str(tiny_models["t5"]), pooling="decoder"), token_items(*LENGTHS)
    tokens, mask = pad(items.tokens, 0)
    start = torch.zeros(len(LENGTHS), 1, dtype=torch.long)
    said = backbone.pretrained(input_ids=tokens, attention_mask=mask.long(), decoder_input_ids=start)
    torch.testing.assert_close(vectors_of(backbone, items), said.last_hidden_state[:, 0], rtol=0, atol=1e-6)
    assert not hasattr(LanguageModelBackbone(str(tiny_models["t5"])).pretrained, "decoder")
    with pytest.raises(ValueError, match="bert has none"):
        LanguageModelBackbone(str(tiny_models["bert"]), pooling="decoder")


def test_a_text_beyond_the_positions_is_refused(tiny_models: dict, token_items: Callable) -> None:
    # RoBERTa's 130 positions begin at padding_idx + 1 = 2, so 128 are left, as many as the tiny BERT has.
    for name in ("bert", "roberta"):
        backbone = LanguageModelBackbone(str(tiny_models[name]))
        assert backbone.embed(token_items(128)).hidden.shape == (128, 32)
        with pytest.raises(ValueError, match=r"129 tokens exceeds the 128 positions .* lower text.max_tokens"):
            backbone.embed(token_items(129))


@pytest.mark.parametrize("name", ["mistral", "qwen2", "qwen3", "qwen3-unused"])
def test_a_text_longer_than_the_attention_window_is_read_as_the_model_does(
    name: str, windowed_models: dict, tiny_models: dict, token_items: Callable
) -> None:
    """A window of 8 tokens; Qwen's has its own in the upper layer alone, and one in none."""
    backbone, items = LanguageModelBackbone(str(windowed_models[name])), token_items(8, 3, 30, 9)
    torch.testing.assert_close(by_layers(backbone, items), by_model(backbone, items), rtol=0, atol=1e-6)
    backbone.pretrained.config.sliding_window = None
    for layer in backbone.layers:
        layer.self_attn.sliding_window = None
    unbounded = by_layers(backbone, items)
    assert torch.equal(unbounded, by_layers(LanguageModelBackbone(str(windowed_models[name])), items)) == (
        name == "qwen3-unused"
    )


def test_items_without_text_are_refused(tiny_models: dict) -> None:
    with pytest.raises(ValueError, match="use backbone=item_id"):
        LanguageModelBackbone(str(tiny_models["bert"])).embed(Items(torch.arange(3)))


@pytest.mark.parametrize("name", MODELS)
def test_dropout_is_what_it_is_set_to(name: str, tiny_models: dict, token_items: Callable) -> None:
    """Without it a model that trains says what it says in evaluation; with it another thing. A rate of attention alone
    (Llama and its kin) counts as well."""
    items = token_items(*LENGTHS)
    for rate, equal in ((0.0, True), (0.5, False)):
        backbone = LanguageModelBackbone(str(tiny_models[name]), dropout=rate).eval()
        evaluated = vectors_of(backbone, items)
        assert torch.equal(vectors_of(backbone.train(), items), evaluated) is equal, rate


@pytest.mark.parametrize("name", MODELS)
def test_a_models_configuration_says_what_it_was_pretrained_with(name: str, tiny_models: dict, tmp_path: Path) -> None:
    """It is what an export writes, and what the kept states of frozen layers are known by."""
    plain, other = (LanguageModelBackbone(str(tiny_models[name]), dropout=rate).pretrained for rate in (None, 0.25))
    assert other.config.to_diff_dict() == plain.config.to_diff_dict()
    other.save_pretrained(tmp_path)
    again = LanguageModelBackbone(str(tmp_path)).pretrained

    def shares(model: PreTrainedModel) -> list[float]:
        return [part.p for part in model.modules() if isinstance(part, Dropout)]

    assert shares(again) == shares(plain)
    assert set(shares(other)) <= {0.25}


def test_dropout_is_left_as_it_was_pretrained(tiny_models: dict) -> None:
    shares = [part.p for part in LanguageModelBackbone(str(tiny_models["bert"])).modules() if isinstance(part, Dropout)]
    assert set(shares) == {BertConfig().hidden_dropout_prob}
    with pytest.raises(ValueError, match=r"dropout=1\.0 lies outside"):
        LanguageModelBackbone(str(tiny_models["bert"]), dropout=1.0)


def test_leaving_whole_layers_out_is_another_thing_than_dropout() -> None:
    config = OPTConfig(dropout=0.1, attention_dropout=0.2, layerdrop=0.3)
    assert replace_dropout(config, 0.5) == {"dropout": 0.1, "attention_dropout": 0.2}
    assert (config.dropout, config.attention_dropout, config.layerdrop) == (0.5, 0.5, 0.3)


def test_poolings_of_two_tokens() -> None:
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])
    assert build_pooling("mean", 2)(hidden).tolist() == [[2.0, 4.0]]
    assert build_pooling("cls", 2)(hidden).tolist() == [[1.0, 2.0]]
    assert build_pooling("last", 2)(hidden).tolist() == hidden[:, -1].tolist()
    assert build_pooling("attention", 2)(hidden).tolist() == [[2.0, 4.0]]  # a zero query weighs all alike
    with pytest.raises(ValueError, match="choose mean, cls, last, attention or decoder"):
        build_pooling("max", 2)


@pytest.mark.parametrize("kind", ["mean", "cls", "attention"])
def test_pooling_one_position_changes_nothing(kind: str) -> None:
    hidden = torch.randn(7, 1, 5)
    pooling = build_pooling(kind, 5)
    for parameter in pooling.parameters():
        torch.nn.init.normal_(parameter)
    assert torch.equal(pooling(hidden), hidden[:, 0])


def test_an_item_id_is_a_row_of_a_table() -> None:
    backbone = ItemIdBackbone(n_items=5, dim=3)
    vectors = vectors_of(backbone, Items(torch.tensor([4, 0])))
    assert torch.equal(vectors, backbone.embedding.weight[[4, 0]])


def test_a_hybrid_adds_projected_text_and_id(tiny_models: dict, token_items: Callable) -> None:
    text = LanguageModelBackbone(str(tiny_models["bert"]))
    hybrid = HybridBackbone(text, n_items=3, dim=4)
    items = token_items(4, 7, 5)
    pooled = hybrid.pool(hybrid.run(hybrid.embed(items), 0, hybrid.depth))
    expected = pooled @ hybrid.projection.weight.T + hybrid.projection.bias + hybrid.embedding.weight
    torch.testing.assert_close(hybrid.final(items.ids, pooled), expected)


def test_a_hybrid_saves_each_tensor_once(tiny_models: dict) -> None:
    text = LanguageModelBackbone(str(tiny_models["bert"]))
    hybrid = HybridBackbone(text, n_items=3, dim=4)
    assert len(hybrid.state_dict()) == len(text.state_dict()) + 3  # projection weight and bias, id table


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_items": 0}, "n_items >= 1"),
        ({"n_items": 3, "dim": 0}, "dim >= 1"),
        ({"n_items": 3, "dropout": 1.0}, "outside"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str, tiny_models: dict) -> None:
    text = LanguageModelBackbone(str(tiny_models["bert"]))
    with pytest.raises(ValueError, match=message):
        ItemIdBackbone(**settings)
    with pytest.raises(ValueError, match=message):
        HybridBackbone(text, **settings)


def test_every_backbone_of_the_configuration_keeps_the_contract(
    choices: Callable, tiny_models: dict, token_items: Callable
) -> None:
    found = choices("backbone")
    assert len(found) >= 5
    for content in found.values():
        for part in (content, content.get("text", {})):
            part |= {"path": str(tiny_models["bert"]), "whiten": False} if "path" in part else {}
        with_ids = {} if "path" in content else {"n_items": 4}
        backbone = instantiate(content, **with_ids)
        assert vectors_of(backbone, token_items(5, 3, 9, 4)).shape == (4, backbone.dim)
        assert len(backbone.layers) == backbone.depth
