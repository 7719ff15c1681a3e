"""What a search may vary: configuration keys with Optuna's distributions, narrowed, widened, applied.

A parameter is named by its key, `train.learning_rate`, so the settings of a trial are a configuration like any other,
and the best of them a `config.toml`.
"""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import BaseModel

from paceline import config as configuration
from paceline.errors import PacelineError

Space = Mapping[str, BaseDistribution]
Model = TypeVar("Model", bound=BaseModel)

GRID_VALUES = 3  # of a range, where no values are named
MOST_GRID_POINTS = 5_000
_BETWEEN_VALUES = re.compile(r",(?![^\[]*\])")  # a comma, but none of a list: hidden_units=[128,64],[256,128]
# Another value there would change what trials are judged by, but for a key that a project's space has.
FIXED_SECTIONS = ("data", "tune", "report")


def chosen(space: Space, config: BaseModel, vary: Sequence[str]) -> Space:
    """Return the part of `space` that `vary` names, or all of it, with the present settings inside.

    Args:
        space: of the project's tune.py.
        config: the present settings; trial 0 has them.
        vary: `section.key`, or `section.key=value,value` for any key of the configuration.

    Raises:
        PacelineError: a key is unknown or not to be varied, a value does not fit it, or there is none.
    """
    found = dict(space)
    if vary:
        found = {}
        for text in vary:
            key, equals, values = (part.strip() for part in text.partition("="))
            found[key] = _named(space, config, key, values) if equals else _known(space, config, key)
    if not found:
        raise PacelineError("There is nothing to vary.", "Name keys with values: --vary train.learning_rate=0.05,0.1.")
    return {key: _around(key, distribution, _present(config, key)) for key, distribution in found.items()}


def present(space: Space, config: BaseModel) -> dict[str, Any]:
    """Return the value that each parameter has in `config`."""
    return {key: _present(config, key) for key in space}


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    """Return a value for each parameter, of the study's sampler."""
    values: dict[str, Any] = {}
    for key, distribution in space.items():
        if isinstance(distribution, FloatDistribution):
            values[key] = trial.suggest_float(
                key, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
        elif isinstance(distribution, IntDistribution):
            values[key] = trial.suggest_int(
                key, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
        elif isinstance(distribution, CategoricalDistribution):
            values[key] = trial.suggest_categorical(key, distribution.choices)
        else:
            raise TypeError(f"{key}: {type(distribution).__name__} is no distribution that Optuna suggests from")
    return values


def holds(distribution: BaseDistribution, value: Any) -> bool:
    """Return whether `value` is one of a range."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, (FloatDistribution, IntDistribution))  # noqa: S101 -- Optuna has no other
    return isinstance(value, (int, float)) and distribution.low <= value <= distribution.high


def height(distribution: BaseDistribution, value: Any) -> float:
    """Return where `value` lies in its range, from 0 to 1."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices.index(value) / max(1, len(distribution.choices) - 1)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))  # noqa: S101 -- Optuna has no other
    low, high = float(distribution.low), float(distribution.high)
    if high <= low:
        return 0.5
    if distribution.log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return (float(value) - low) / (high - low)


def applied(config: Model, values: Mapping[str, Any]) -> Model:
    """Return `config` with the `values` of a trial.

    Raises:
        PacelineError: the configuration refuses a value, or this combination.
    """
    return configuration.replace(config, values, source="tune")


def grid(space: Space) -> list[dict[str, Any]]:
    """Return every combination: all choices, and three values of a range from its lowest to its highest.

    Raises:
        PacelineError: there are too many to be meant.
    """
    values = {key: _grid_values(distribution) for key, distribution in space.items()}
    count = math.prod(len(found) for found in values.values())
    if count > MOST_GRID_POINTS:
        raise PacelineError(
            f"The grid of {len(space)} parameters has {count:,} points.",
            "Name fewer keys, or their values: --vary train.learning_rate=0.05,0.1.",
        )
    return [dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())]


def described(space: Space) -> dict[str, str]:
    """Return each parameter's range as text; equal texts are equal ranges.

    >>> described({"train.l2": FloatDistribution(0.1, 10, log=True), "model.depth": IntDistribution(2, 8)})
    {'train.l2': '0.1 to 10.0 (log)', 'model.depth': '2 to 8'}
    """
    return {key: _text(distribution) for key, distribution in space.items()}


def _text(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return " | ".join(str(choice) for choice in distribution.choices)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))  # noqa: S101 -- Optuna has no other
    step = f", in steps of {distribution.step}" if distribution.step not in (None, 1) else ""
    return f"{distribution.low} to {distribution.high}{' (log)' * distribution.log}{step}"


def _known(space: Space, config: BaseModel, key: str) -> BaseDistribution:
    if key in space:
        return space[key]
    _present(config, key)  # a misspelt key is no key at all
    raise PacelineError(
        f"tune.py has no range for '{key}'.", f"Name its values: --vary {key}=..., or one of {', '.join(space)}."
    )


def _named(space: Space, config: BaseModel, key: str, values: str) -> BaseDistribution:
    _present(config, key)
    if key.partition(".")[0] in FIXED_SECTIONS and key not in space:
        raise PacelineError(
            f"'{key}' cannot vary: trials would be judged by different things.", "Name a key of [model] or [train]."
        )
    choices = [text.strip() for text in _BETWEEN_VALUES.split(values) if text.strip()]
    if not choices:
        raise PacelineError(f"The grid of '{key}' is empty.", f"Name values: --vary {key}=1,2.")
    # As the configuration reads them, so that 1 and 1.0 of a whole number are one choice and a bad one is refused now.
    read = [_present(configuration.replace(config, {key: choice}, source="--vary"), key) for choice in choices]
    return CategoricalDistribution(list(dict.fromkeys(read)))


def _present(config: BaseModel, key: str) -> Any:
    value: Any = config.model_dump(mode="json")
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            keys = [f"{section}.{one}" for section, part in config.model_dump().items() for one in part]
            near = difflib.get_close_matches(key, keys, n=1)
            remedy = f"Did you mean '{near[0]}'?" if near else "See config.toml for its keys."
            raise PacelineError(f"There is no key '{key}' to vary.", remedy)
        value = value[name]
    return str(value) if isinstance(value, (list, dict)) else value


def _around(key: str, distribution: BaseDistribution, value: Any) -> BaseDistribution:
    """Return `distribution`, widened where the present value lies outside: trial 0 has it."""
    if isinstance(distribution, CategoricalDistribution):
        if value in distribution.choices:
            return distribution
        return CategoricalDistribution([value, *distribution.choices])
    assert isinstance(distribution, (FloatDistribution, IntDistribution))  # noqa: S101 -- Optuna has no other
    if distribution.log and value <= 0:
        raise PacelineError(
            f"'{key}' is {value}, which its logarithmic range in tune.py cannot hold.",
            "Set it above 0, or vary others.",
        )
    low, high = min(distribution.low, value), max(distribution.high, value)
    if isinstance(distribution, IntDistribution):
        return IntDistribution(int(low), int(high), log=distribution.log, step=distribution.step)
    return FloatDistribution(low, high, log=distribution.log, step=distribution.step)


def _grid_values(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))  # noqa: S101 -- Optuna has no other
    low, high = float(distribution.low), float(distribution.high)
    shares = [place / (GRID_VALUES - 1) for place in range(GRID_VALUES)]
    values = [low * (high / low) ** share if distribution.log else low + (high - low) * share for share in shares]
    if isinstance(distribution, IntDistribution):
        return sorted({round(value) for value in values})
    return [min(max(value, low), high) for value in dict.fromkeys(values)]
