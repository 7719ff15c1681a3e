"""What may vary: ranges named, narrowed, widened, suggested from, and made a grid of."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from paceline.errors import PacelineError
from paceline.tune import space

RANGES: dict[str, Any] = {"train.rate": FloatDistribution(0.01, 1.0, log=True), "model.depth": IntDistribution(1, 8)}


def test_a_key_is_varied_alone_with_its_range_or_with_named_values(quadratic: ModuleType) -> None:
    """Without values it keeps the range of tune.py; with values they are choices, read as the configuration does."""
    config = quadratic.Config()
    assert {"model.depth": RANGES["model.depth"]} == space.chosen(RANGES, config, ("model.depth",))
    named = space.chosen(RANGES, config, ("train.steps=5, 10,5",))
    assert {"train.steps": CategoricalDistribution((5, 10))} == named


def test_a_range_is_widened_to_hold_the_present_value(quadratic: ModuleType) -> None:
    """Trial 0 has it; choices get it as their first."""
    config = quadratic.Config(model=quadratic.Model(depth=11), train=quadratic.Train(rate=0.001))
    found = space.chosen(RANGES, config, ())
    assert IntDistribution(1, 11) == found["model.depth"]
    assert FloatDistribution(0.001, 1.0, log=True) == found["train.rate"]
    assert (11, 2, 3) == space.chosen(RANGES, config, ("model.depth=2,3",))["model.depth"].choices
    assert {"train.rate": 0.001, "model.depth": 11} == space.present(found, config)


def test_a_logarithmic_range_cannot_hold_zero(quadratic: ModuleType) -> None:
    """It is said which key, and what to do."""
    ranges = {"train.seed": IntDistribution(1, 8, log=True)}
    with pytest.raises(PacelineError, match=r"'train.seed' is 0, which its logarithmic range in tune.py cannot hold"):
        space.chosen(ranges, quadratic.Config(), ())


def test_a_grid_is_every_combination(quadratic: ModuleType) -> None:
    """Choices as they are, ranges by three values, evenly on their own scale."""
    found = space.grid({**RANGES, "train.steps": CategoricalDistribution((5, 10))})
    assert 3 * 3 * 2 == len(found)
    assert {0.01, 1.0} < {point["train.rate"] for point in found}
    assert [0.01, pytest.approx(0.1), 1.0] == sorted({point["train.rate"] for point in found})
    assert {1, 4, 8} == {point["model.depth"] for point in found}


def test_a_grid_too_large_to_be_meant_is_refused() -> None:
    """Before anything is trained, with its number of points."""
    ranges = {f"model.{place}": FloatDistribution(0.0, 1.0) for place in range(8)}
    with pytest.raises(PacelineError, match=r"The grid of 8 parameters has 6,561 points\."):
        space.grid(ranges)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.booleans())
def test_a_grid_stays_in_its_range(one: float, other: float, log: bool) -> None:
    """To the last bit, for Optuna refuses a value beyond it."""
    low, high = min(one, other), max(one, other)
    for point in space.grid({"train.rate": FloatDistribution(low, high, log=log)}):
        assert low <= point["train.rate"] <= high


def test_values_are_suggested_for_every_kind_of_range(quadratic: ModuleType) -> None:
    """And make a configuration."""
    ranges = {**RANGES, "train.behave": CategoricalDistribution(("well", "fail"))}
    values = space.suggest(optuna.create_study().ask(), ranges)
    config = space.applied(quadratic.Config(), values)
    assert values == space.present(ranges, config)


def test_a_value_that_the_configuration_refuses_is_named(quadratic: ModuleType) -> None:
    """As for any configuration."""
    with pytest.raises(PacelineError, match=r"\[model\] depth is 0"):
        space.applied(quadratic.Config(), {"model.depth": 0})
