"""Of each strategy's model a checkpoint keeps what trains and the mean of the catalogue; all else is made again."""

import pytest
import torch
from peft.tuners.vera import VeraLayer
from safetensors.torch import load_file

from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.checkpoint import frozen_digest, kept_state
from lightning_modules.parts.encoder import Encoder
from lightning_modules.strategies.vera import VeraStrategy
from tests.lightning_modules.strategies import pairs


def vera(folder, **settings):
    return Encoder(LanguageModelBackbone(str(folder)), VeraStrategy(**settings))


def drawn(encoder):
    return [
        matrix
        for layer in encoder.modules()
        if isinstance(layer, VeraLayer)
        for matrix in (layer.vera_A["default"], layer.vera_B["default"])
    ]


@pytest.mark.parametrize("family", ["bert", "t5"])
@pytest.mark.parametrize("name", pairs.STRATEGIES)
def test_nothing_frozen_is_kept_under_any_name(name, family, tiny_models):
    if (name, family) == ("bitfit", "t5"):
        pytest.skip("refused: T5 has no biases")
    encoder = pairs.build(name, tiny_models[family])
    trained = {key for key, parameter in encoder.named_parameters(remove_duplicate=False) if parameter.requires_grad}
    assert kept_state(encoder, encoder.state_dict()).keys() - trained == {"mean"}
    assert bool(trained) == (name != "frozen")


def test_a_table_with_two_names_is_kept_under_neither_or_both(tiny_models):
    """T5 calls its table of words by two names."""
    names = {f"backbone.pretrained.{part}.weight" for part in ("shared", "encoder.embed_tokens")}
    for name, expected in (("lora", set()), ("full", names)):
        encoder = pairs.build(name, tiny_models["t5"])
        assert names <= encoder.state_dict().keys()
        assert names & kept_state(encoder, encoder.state_dict()).keys() == expected


def test_veras_random_matrices_have_the_same_bits_with_any_number_of_threads(tiny_models):
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            torch.manual_seed(threads)  # the run's seed has no part in them
            found.append(vera(tiny_models["bert"], r=512))
    finally:
        torch.set_num_threads(before)
    one, two = map(drawn, found)
    assert len(one) == len(two) == 2 * 2 * 2  # A and B of query and value in two layers
    assert all(torch.equal(*matrices) for matrices in zip(one, two, strict=True))
    assert frozen_digest(found[0]) == frozen_digest(found[1])


def test_the_digest_vouches_for_veras_random_matrices(tiny_models):
    assert frozen_digest(vera(tiny_models["bert"], seed=0)) != frozen_digest(vera(tiny_models["bert"], seed=1))


def test_all_layers_share_veras_random_matrices_and_pefts_folder_holds_them_once(tiny_models, tmp_path):
    encoder = vera(tiny_models["bert"])
    assert len({matrix.data_ptr() for matrix in drawn(encoder)}) == 2
    assert not [matrix for matrix in drawn(encoder) if matrix.requires_grad]
    encoder.plan.adapter.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert sorted(name for name in saved if "lambda" not in name) == ["base_model.vera_A", "base_model.vera_B"]
    assert torch.equal(saved["base_model.vera_A"], drawn(encoder)[0])
