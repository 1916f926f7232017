"""A model cut to its lowest layers is the model that transformers makes of so many, and strategies work on it."""

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding

from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.merging import merged
from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.families import FAMILIES, T5_LIKE
from lightning_modules.strategies.frozen import FrozenStrategy
from lightning_modules.strategies.lora import LoraStrategy
from lightning_modules.strategies.prefix import PrefixStrategy
from lightning_modules.strategies.side import SideStrategy
from tests.lightning_modules.padding import pad
from tests.lightning_modules.strategies import pairs

STRATEGIES = {"lora": LoraStrategy, "prefix": PrefixStrategy, "side": lambda: SideStrategy(reduction=4)}
over_families = pytest.mark.parametrize("family", sorted(FAMILIES))

# peft 0.21.2 still asks transformers 5 under the old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def build(folder, strategy, **settings):
    torch.manual_seed(0)
    return Encoder(LanguageModelBackbone(str(folder), **settings), strategy).eval()


def of_one_layer(folder):
    """By transformers alone: the configuration says one layer, and the other weights find no place."""
    config = AutoConfig.from_pretrained(folder)
    config.num_hidden_layers = 1
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:1]
    loader = AutoModelForTextEncoding if config.model_type in T5_LIKE else AutoModel
    return loader.from_pretrained(folder, config=config).eval()


def means(model, items):
    tokens, mask = pad(items.tokens, model.config.pad_token_id or 0)
    hidden = model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
    return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def test_all_families_that_are_known_are_cut():
    assert len(FAMILIES) == 14


@over_families
@torch.no_grad()
def test_the_first_layer_is_a_model_of_one_layer(family, tiny_models, token_items):
    folder, items = tiny_models[family], token_items(*pairs.LENGTHS)
    cut = build(folder, FrozenStrategy(), first_layers=1)
    assert (cut.backbone.depth, cut.backbone.pretrained.config.num_hidden_layers) == (1, 1)
    torch.testing.assert_close(cut(items), means(of_one_layer(folder), items), rtol=0, atol=1e-5)
    assert (cut(items) - build(folder, FrozenStrategy())(items)).abs().max() > 1e-3


@over_families
@pytest.mark.parametrize("name", STRATEGIES)
def test_strategies_train_what_is_left(name, family, tiny_models, token_items):
    encoder, items = build(tiny_models[family], STRATEGIES[name](), first_layers=1), token_items(*pairs.LENGTHS)
    before = encoder(items)
    pairs.train(encoder, token_items, steps=2)
    assert bool(((encoder.eval()(items) - before).abs().amax(1) > 1e-4).all())


@over_families
def test_a_merged_folder_has_the_layers_that_were_left(family, tiny_models, token_items, tmp_path):
    encoder, items = build(tiny_models[family], LoraStrategy(), first_layers=1), token_items(*pairs.LENGTHS)
    pairs.train(encoder, token_items, steps=2)
    merged(encoder).save_pretrained(tmp_path)
    opened = build(tmp_path, FrozenStrategy())
    assert opened.backbone.depth == 1
    torch.testing.assert_close(opened(items), encoder.eval()(items), rtol=0, atol=2e-5)


def test_a_t5s_decoder_stays_whole(tiny_models, token_items, tmp_path):
    encoder = build(tiny_models["t5"], LoraStrategy(), first_layers=1, pooling="decoder")
    assert (encoder.backbone.depth, len(encoder.backbone.pretrained.decoder.block)) == (1, 2)
    merged(encoder).save_pretrained(tmp_path)
    opened, items = build(tmp_path, FrozenStrategy(), pooling="decoder"), token_items(*pairs.LENGTHS)
    assert (opened.backbone.depth, len(opened.backbone.pretrained.decoder.block)) == (1, 2)
    torch.testing.assert_close(opened(items), encoder(items), rtol=0, atol=2e-5)


def test_layers_that_are_not_there_or_not_known_are_refused(tiny_models):
    for count in (0, 3):
        with pytest.raises(ValueError, match=rf"first_layers={count}, but BertModel has 2 layers: give 1 to so many"):
            build(tiny_models["bert"], FrozenStrategy(), first_layers=count)
    for count in (1, 2):
        with pytest.raises(ValueError, match=rf"first_layers={count}, but the layers of AlbertModel are not known"):
            build(tiny_models["albert"], FrozenStrategy(), first_layers=count)
