"""Ceilings on the wall time: how they are asked for, and what fits below them."""

from __future__ import annotations

import sys
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline import budget
from paceline.budget import Ceiling
from paceline.errors import PacelineError
from paceline.terms import Measured, Stage

NOW = datetime(2026, 3, 1, 16, 50)


def test_the_lower_of_two_ceilings_counts() -> None:
    """A span counts from the start of the process, a time of day from now."""
    assert None is budget.ceiling(None, None, elapsed=5.0, now=NOW)
    assert 600.0 == budget.ceiling("10m", None, elapsed=5.0, now=NOW).seconds
    both = budget.ceiling("20m", "17:00", elapsed=5.0, now=NOW)
    assert Ceiling(605.0, "--finish-by 17:00") == both


def test_auto_wants_a_ceiling() -> None:
    """Without time to fill there is no number; a number is taken as it is."""
    assert 600 == budget.most(600, "train.rounds", None)
    assert budget.AUTO == budget.most("auto", "train.rounds", Ceiling(60.0, "--time-budget 1m"))
    with pytest.raises(PacelineError, match=r"^train\.rounds is 'auto', and there is no time to fill\. Add --time"):
        budget.most("auto", "train.rounds", None)


@given(
    st.floats(0.01, 5.0), st.integers(1, 50), st.floats(0.0, 10.0), st.floats(0.0, 5.0), st.integers(2, 500),
    st.floats(1.0, 1000.0), st.sampled_from([0.0, 1.0, 0.5, 3.0]),
)  # fmt: skip
def test_what_fits_takes_the_time_that_is_left(
    step: float, steps: int, validation: float, compile_: float, most: int, left: float, later: float
) -> None:
    """Just as many epochs as the time is enough for, a later training's in proportion; never more than asked for."""
    stage = Stage("a", most, Measured(step), steps, validation=Measured(validation), compile=Measured(compile_))
    following = [Stage("b", later * most, Measured(step), steps, compile=Measured(compile_))] if later else []
    fits = budget.epochs_that_fit(left, stage, following)
    took = fits * (step * steps + validation) + compile_ + later * fits * step * steps + (later > 0) * compile_
    assert 0 <= fits <= most
    if 0 < fits < most:
        assert left == pytest.approx(took)
    elif fits:
        assert took <= left * (1 + 1e-9)


def test_nothing_to_train_in_is_an_error_that_says_how_much_is() -> None:
    """A cause with the seconds, a remedy with more of them."""
    error = budget.too_little(Ceiling(5.0, "--time-budget 5s"), 9.0, "getting ready")
    assert "--time-budget 5s leaves no time to train: getting ready alone takes 9 s. Give at least 20s." == str(error)


def test_the_end_of_a_process_takes_longer_where_jax_was_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a run of boosted trees keeps no time free for what it does not have."""
    monkeypatch.setitem(sys.modules, "jax", sys)
    with_jax = budget.exit_seconds()
    monkeypatch.delitem(sys.modules, "jax")
    assert budget.exit_seconds() < with_jax
