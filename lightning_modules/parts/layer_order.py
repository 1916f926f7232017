"""Which parameters of a pretrained model lie how far below its output."""

from torch import nn


def top_layers(method: str, k: int, model: nn.Module, layers: list[nn.Module]) -> dict[str, int]:
    """Name -> layers above it, for the parameters of the k layers nearest the output.

    A model that is not known layer by layer counts as one layer, without its token table. Raises ValueError where the
    model has fewer than k layers, and where those nearest the output are a decoder's: a batch passes the encoder's
    layers one by one, and a decoder in one piece.
    """
    if decoder_layers(model):
        raise ValueError(
            f"{method} trains the layers nearest the output, and with pooling=decoder these are the decoder's, which "
            "are not told apart: use pooling=mean, or strategy=lora or full_llrd, which train the decoder too"
        )
    if k > len(layers):
        raise ValueError(
            f"{method} k={k}, but {type(model).__name__} has {len(layers)} layer{'s' * (len(layers) != 1)}: "
            "lower k, or use strategy=full, which trains the embeddings too"
        )
    above = {id(p): index for index, layer in enumerate(reversed(layers[-k:])) for p in layer.parameters()}
    entry = getattr(model, "get_input_embeddings", lambda: None)()
    table = set() if entry is None else {id(p) for p in entry.parameters()}
    return {name: above[id(p)] for name, p in model.named_parameters() if id(p) in above.keys() - table}


def distances(method: str, model: nn.Module, layers: list[nn.Module]) -> dict[str, int]:
    """Name -> layers above it: 0 in the top layer and whatever comes after it (a last norm), as many as there are
    layers in front of the first one (embeddings). A decoder's layers lie above all of its encoder's. What comes after
    a layer stands behind it among the parameters.

    Raises ValueError where the model is not known layer by layer.
    """
    if not layers or layers[0] is model:
        raise ValueError(
            f"{method} needs the layers of a model, and those of {type(model).__name__} are not known: use "
            "strategy=full, or a model of another family, such as minilm"
        )
    layers = [*layers, *decoder_layers(model)]
    inside = {id(p): above for above, layer in enumerate(reversed(layers)) for p in layer.parameters()}
    latest = len(layers)
    found = {}
    for name, parameter in model.named_parameters():
        found[name] = latest = inside.get(id(parameter), latest)
    return found


def decoder_layers(model: nn.Module) -> list[nn.Module]:
    """The layers of T5's decoder, from its input to its output; none where there is no decoder."""
    return list(getattr(getattr(model, "decoder", None), "block", ()))
