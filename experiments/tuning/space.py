"""What is searched: words of the command line that name a range instead of a value."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, QuotedString, RangeSweep, Sweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from experiments.config.check import ConfigError
from experiments.config.compose import as_config_error

DIGITS = 4
"""Of a number that was drawn, so that a setting can be read; optuna's record keeps all of them."""


@dataclass(frozen=True)
class Space:
    """fixed: words that every trial has. searched: of each path what it is drawn from, in the order of the words.
    texts: how the range of each was written."""

    fixed: tuple[str, ...]
    searched: Mapping[str, BaseDistribution]
    texts: Mapping[str, str]

    def words(self, drawn: Mapping[str, Any]) -> tuple[str, ...]:
        """A trial on the command line."""
        return (*self.fixed, *(f"{path}={_written(drawn[path], of)}" for path, of in self.searched.items()))

    def examples(self) -> Iterator[tuple[str, ...]]:
        """Few trials in which each choice, and both ends of each range, stand at least once."""
        ends = {path: _ends(of) for path, of in self.searched.items()}
        for place in range(max(map(len, ends.values()))):
            yield self.words({path: values[place % len(values)] for path, values in ends.items()})


def space_of(words: Sequence[str]) -> Space:
    """Hydra's own grammar of sweeps says what is searched:

        optimizer.lr=tag(log,interval(1e-4,1e-2))   head.tau=interval(0,0.5)   interest.layers=int(interval(1,4))
        datamodule.users_per_step=range(32,129,32)  head=graph,dot             backbone.dim=choice(64,128)

    Raises `ConfigError` for what is no such word, and where nothing is searched.
    """
    with as_config_error():
        overrides = OverridesParser.create().parse_overrides(list(words))
    fixed, searched, texts = [], {}, {}
    for word, override in zip(words, overrides, strict=True):
        if not override.is_sweep_override():
            fixed.append(word)
            continue
        path = override.get_key_element()
        searched[path] = _distribution(path, override.value())
        texts[path] = word.partition("=")[2]
    if not searched:
        raise ConfigError(["nothing is searched: give a range, such as 'optimizer.lr=tag(log,interval(1e-4,1e-2))'"])
    return Space(tuple(fixed), searched, texts)


def _distribution(path: str, sweep: Any) -> BaseDistribution:
    log = isinstance(sweep, Sweep) and "log" in sweep.tags
    try:
        if isinstance(sweep, ChoiceSweep):
            return CategoricalDistribution([_plain(value) for value in sweep.list])
        if isinstance(sweep, IntervalSweep):
            low, high = sweep.start, sweep.end
            if isinstance(low, int) and isinstance(high, int):
                return IntDistribution(low, high, log=log)
            return FloatDistribution(float(low or 0), float(high or 0), log=log)
        if isinstance(sweep, RangeSweep):
            values = list(sweep.range())
            if all(isinstance(value, int) for value in values):
                return IntDistribution(values[0], values[-1], step=int(sweep.step))
            return CategoricalDistribution(values)
    except ValueError as fault:
        raise ConfigError([f"{path}: {fault}"]) from fault
    raise ConfigError(
        [f"{path}: {sweep} is no range to draw from; there are choice, range, interval and tag(log, ...)"]
    )


def _ends(of: BaseDistribution) -> Sequence[Any]:
    if isinstance(of, CategoricalDistribution):
        return of.choices
    assert isinstance(of, IntDistribution | FloatDistribution)
    return (of.low, of.high)


def _plain(value: Any) -> str | int | float | bool | None:
    """A word in quotes keeps them, for Hydra reads it again."""
    return value.with_quotes() if isinstance(value, QuotedString) else value


def _written(value: Any, of: BaseDistribution) -> str:
    """Of a number as few digits from `DIGITS` up as leave it in its range; 17 tell any one from all others."""
    if isinstance(value, float):
        near = (float(f"{value:.{digits}g}") for digits in range(DIGITS, 18))
        inside = (one for one in near if not isinstance(of, FloatDistribution) or of.low <= one <= of.high)
        return repr(next(inside, value))
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
