"""What the frozen layers of a language model say of the texts: computed once, kept on disk, shared by all runs.

A layer below the lowest that trains says the same in every epoch. Where nothing of the model trains, one vector of each
text is kept (`features`), else one of each token at the first layer that trains (`states`). A network that reads what
the layers say at several taps has those of all taps, side by side.
"""

import hashlib
import json
import sys
import warnings
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from transformers import PreTrainedModel

from datamodules.array_store import Blocks, kept_array, stored_array
from datamodules.interest_datamodule import InterestDataModule
from datamodules.storage import atomic_write, digest
from datamodules.types import Ragged
from lightning_modules.parts.encoder import Encoder

EPOCH = 2
"""Raised with every change of the code that makes other vectors of the same model and texts."""

Kept = Literal["float32", "float16", "none"]
PASSING = ("_name_or_path", "transformers_version", "architectures", "dtype")
"""What a model's configuration says of where it came from."""

TYPES: dict[str, type[np.floating]] = {"float32": np.float32, "float16": np.float16}


def compute_once(encoder: Encoder, data: InterestDataModule, cache: Path, kept: Kept) -> None:
    """Fit what is fitted on the catalogue's text, and give the data what never changes in the place of its tokens.

    kept: how states are kept; half precision takes half the disk, and its largest error is said. With `none` they are
    computed in every step. Another choice than float32 warns where there are no states to keep.
    """
    if kept not in ("none", *TYPES):
        raise ValueError(f"frozen_states is {kept!r}; it is one of float32, float16, none")
    if kept != "float32" and not has_states(encoder):
        warnings.warn(
            "frozen_states: no frozen layers lie below one that trains, so there are no states to keep; leave it out",
            UserWarning,
            stacklevel=2,
        )
    fit(encoder, data, cache)
    if kept != "none" and has_states(encoder):
        data.states = states(encoder, data, cache, kept)


def read_once(encoder: Encoder, data: InterestDataModule, cache: Path, kept: Kept) -> None:
    """As `compute_once`, for a model that is not trained: it reads each text a single time, so states that training
    left are used and none are made. Warns where the words then say something else than the states, by rounding."""
    fit(encoder, data, cache)
    if kept == "none" or not has_states(encoder):
        return
    found = kept_array(states_path(encoder, data, cache, kept), len(data.tokens.values), TYPES[kept])
    if found is not None:
        data.states = Ragged(torch.from_numpy(found), data.tokens.offsets)
    elif kept == "float16":
        said = "the run's states are not in the cache; its texts are read instead, which moves scores by the rounding"
        warnings.warn(f"frozen_states=float16: {said}", UserWarning, stacklevel=2)


def has_states(encoder: Encoder) -> bool:
    """Whether some layers train and others below them do not."""
    return 0 < encoder.lowest < encoder.backbone.depth


def fit(encoder: Encoder, data: InterestDataModule, cache: Path) -> None:
    """Fit what is fitted on the catalogue's text; where nothing of the model trains, give the data its vectors."""
    catalogue = np.arange(data.log.n_items)  # which purchases further rows put into words, validation and test decide
    if encoder.features_reusable:
        pooled = torch.from_numpy(features(encoder, data, cache))
        encoder.fit(lambda: pooled[catalogue])
        data.features = encoder.settled(pooled)
    else:
        encoder.fit(lambda: encoder.pooled(data.items(catalogue)))


def features(encoder: Encoder, data: InterestDataModule, cache: Path) -> np.ndarray:
    """The pooled vector of each text, before whitening."""
    rows = len(data.item_of_row)
    path = cache / "features" / f"{key(encoder, data.tokens)}.npy"
    return stored_array(path, rows, lambda: [(np.arange(rows), encoder.pooled(data.items()).numpy())])


def states(encoder: Encoder, data: InterestDataModule, cache: Path, kept: Kept) -> Ragged:
    """What enters the lowest layer that trains, token by token."""
    tokens, dtype = data.tokens, TYPES[kept]
    path = states_path(encoder, data, cache, kept)

    def blocks() -> Blocks:
        offsets, largest = tokens.offsets.numpy(), 0.0
        for rows, values in encoder.lower_states(data.items()):
            exact = values.cpu().numpy()
            largest = max(largest, _error(exact, dtype))
            yield np.concatenate([np.arange(offsets[row], offsets[row + 1]) for row in rows.tolist()]), exact
        if kept == "float16":
            atomic_write(path.with_suffix(".json"), json.dumps({"largest_error": largest}))

    if not path.exists():
        places = max(1, len(taps(encoder)))
        size = len(tokens.values) * places * pretrained(encoder).config.hidden_size * np.dtype(dtype).itemsize
        where = f", at {places} places" if places > 1 else ""
        what = f"what the lowest {encoder.lowest} layers say of {len(tokens.values):,} tokens{where}"
        print(f"keeping {what}: {size / 1e6:,.0f} MB in {path.parent}", file=sys.stderr, flush=True)
    stored = stored_array(path, len(tokens.values), blocks, dtype)
    if kept == "float16":
        warnings.warn(f"frozen_states=float16 moved a state by {_said(path)}", UserWarning, stacklevel=2)
    return Ragged(torch.from_numpy(stored), tokens.offsets)


def states_path(encoder: Encoder, data: InterestDataModule, cache: Path, kept: Kept) -> Path:
    """Where states lie; their largest error beside them."""
    return cache / "states" / f"{key(encoder, data.tokens)}-{kept}.npy"


def _error(exact: np.ndarray, dtype: type[np.floating]) -> float:
    with np.errstate(over="ignore"):  # what does not fit is refused where it is written
        return float(np.abs(exact - exact.astype(dtype)).max())


def _said(path: Path) -> str:
    """The largest error of kept states; it can be read off them no more, so a record that is gone stays gone."""
    errors = path.with_suffix(".json")
    try:
        return f"up to {json.loads(errors.read_text(encoding='utf-8'))['largest_error']:.2g}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"an error that {errors.name} does not tell; remove {path} to have both made anew"


def key(encoder: Encoder, tokens: Ragged) -> str:
    """Digest of all that the frozen layers' output depends on: weights, configuration, which layers they are and which
    of them are read, how their output is pooled where all are frozen, and word pieces."""
    above = {id(p) for layer in encoder.backbone.layers[encoder.lowest :] for p in layer.parameters()}
    model, weights = pretrained(encoder), hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        if id(parameter) not in above:
            weights.update(name.encode())
            weights.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    config = {name: value for name, value in model.config.to_diff_dict().items() if name not in PASSING}
    kinds = [type(part).__name__ for part in encoder.modules()] if encoder.features_reusable else []
    pieces = [hashlib.sha256(array.numpy().tobytes()).hexdigest() for array in (tokens.values, tokens.offsets)]
    read = [taps(encoder)] if taps(encoder) else []
    return digest([EPOCH, weights.hexdigest(), repr(sorted(config.items())), encoder.lowest, kinds, pieces, *read])


def taps(encoder: Encoder) -> list[int]:
    """The layers that a network beside the model reads; none where there is no such network."""
    return [] if encoder.plan.reading is None else list(encoder.plan.reading.taps)


def pretrained(encoder: Encoder) -> PreTrainedModel:
    """The language model; only where there is one are there texts."""
    return cast(PreTrainedModel, encoder.backbone.pretrained)
