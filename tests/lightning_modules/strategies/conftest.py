"""Tiny models for the contract, in which attention tells texts apart."""

from pathlib import Path

import pytest

from tests.lightning_modules.strategies import pairs


@pytest.fixture(scope="session")
def tiny_models(tiny_models: dict[str, Path]) -> dict[str, Path]:
    """The usual ones; those of the contract's families attend."""
    return tiny_models | {family: pairs.attentive(tiny_models[family]) for family in pairs.FAMILIES}


@pytest.fixture(scope="session")
def folders(tiny_models: dict[str, Path]) -> dict[tuple[str, str], Path]:
    """The model of each pair: of 3 layers where 2 join one after the other, so that one stays below."""
    deeper = {family: pairs.attentive(tiny_models[family], layers=3) for family in pairs.FAMILIES}
    return {
        (name, family): (deeper if name == "top_k_gradual" else tiny_models)[family] for name, family in pairs.PAIRS
    }
