"""The model of a run's time: its terms add up, and draws of them scatter as their errors say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline import terms
from paceline.terms import After, Measured, Stage, Terms

SECONDS = st.floats(0.0, 20.0)


@given(
    st.integers(1, 50), st.floats(1e-4, 2.0), st.integers(1, 100), SECONDS, SECONDS, SECONDS, SECONDS, SECONDS,
    st.floats(5.0, 100.0),
)  # fmt: skip
def test_the_phases_are_the_formula(
    epochs: int, step: float, steps: int, overhead: float, validation: float, compiled: float, checkpoint: float,
    finalise: float, every: float,
) -> None:  # fmt: skip
    """T = setup + compile + epochs · (steps · step + overhead + validation) + checkpoints · checkpoint + finalise."""
    stage = Stage(
        "fit", epochs, Measured(step), steps, overhead=Measured(overhead), validation=Measured(validation),
        compile=Measured(compiled), checkpoint=Measured(checkpoint), checkpoint_every_seconds=every,
    )  # fmt: skip
    found = Terms({"setup": 3.0}, (stage,), Measured(finalise), Measured(2.0)).seconds()
    epoch = steps * step + overhead
    assert list(terms.PHASES) == list(found)
    assert 5.0 == found["setup"]
    assert compiled == pytest.approx(found["compile"])
    assert epochs * epoch == pytest.approx(found["training"])
    assert epochs * validation == pytest.approx(found["validation"])
    assert checkpoint * (1 + min(epochs, epochs * epoch / every)) == pytest.approx(found["checkpoint"])
    assert finalise == pytest.approx(found["finalise"])


def test_what_is_done_is_not_counted_again() -> None:
    """A training under way has compiled, and only its epochs to come take time."""
    begun = Stage("fit", 10, Measured(1.0), 5, compile=Measured(9.0), done=7.0)
    found = Terms({}, (begun,), Measured()).seconds()
    assert (0.0, 15.0) == (found["compile"], found["training"])
    over = Stage("fit", 10, Measured(1.0), 5, checkpoint=Measured(1.0), done=10.0)
    assert 0.0 == sum(Terms({}, (over,), Measured()).seconds().values())


def test_growing_steps_are_followed_to_the_end() -> None:
    """Steps that were measured at epoch 5 and grow by 2 % with each: the sum over all, not the rate so far."""
    stage = Stage("fit", 100, Measured(1.0), growth=0.02, measured_at=5.0, done=10.0)
    expected = sum(1 + 0.02 * (epoch + 0.5 - 5) for epoch in range(10, 100))
    assert expected == pytest.approx(Terms({}, (stage,), Measured()).seconds()["training"])
    assert expected == pytest.approx(90 * stage.epoch_seconds(100.0))
    watched = replace(stage, validation=Measured(0.5), validation_grows=True)
    assert 0.5 * expected == pytest.approx(Terms({}, (watched,), Measured()).seconds()["validation"])
    assert 1.5 * expected == pytest.approx(90 * watched.epoch_seconds(100.0))


@given(st.floats(0.01, 0.3), st.integers(0, 1000))
def test_draws_scatter_as_the_error_says(error: float, seed: int) -> None:
    """The mean of the draws is the term, and their relative spread its error."""
    drawn = Terms({}, (), Measured(10.0, error)).draw(4000, seed)["finalise"]
    assert 10.0 == pytest.approx(float(drawn.mean()), rel=0.03)
    assert error == pytest.approx(float(drawn.std() / drawn.mean()), rel=0.15)


def test_a_machine_that_drifts_moves_what_is_to_come_and_not_what_was_spent() -> None:
    """The speed is one for all phases, so their errors do not cancel; the past is known."""
    stage = Stage("fit", 10, Measured(1.0), validation=Measured(1.0))
    drawn = Terms({"setup": 7.0}, (stage,), Measured(5.0), drift=0.1).draw(500)
    assert [7.0] == list(np.unique(drawn["setup"]))
    assert 0.999 < float(np.corrcoef(drawn["training"], drawn["finalise"])[0, 1])
    assert 0.1 == pytest.approx(float(drawn["validation"].std() / drawn["validation"].mean()), rel=0.15)


def test_possible_ends_are_paired_between_the_trainings() -> None:
    """The refit takes what the selection kept, draw by draw; the expected seconds are those of the median end."""
    stages = (Stage("select", 100, Measured(1.0)), Stage("refit", 100, Measured(1.0)))
    ends = np.array([20.0, 40.0, 60.0])
    found = Terms({}, stages, Measured(), ends={"select": ends, "refit": ends - 10})
    assert [30.0, 70.0, 110.0] == list(found.draw(3)["training"])
    assert 70.0 == found.seconds()["training"]


def test_a_scaled_term_is_less_certain() -> None:
    """Twice as long, and both errors in it."""
    assert Measured(2.0, 0.05) == Measured(1.0, 0.03).scaled(2.0, 0.04)


def test_the_ledger_is_read_by_phase() -> None:
    """Every phase of a ledger belongs to one of an estimate; one that nobody knows is setup, and nothing is lost."""
    ledger = {"import": 1.0, "data": 2.0, "train": 4.0, "input_wait": 8.0, "score": 16.0, "tea": 32.0}
    found = terms.by_phase(ledger)
    assert {"setup": 35.0, "training": 12.0, "finalise": 16.0} == {
        name: value for name, value in found.items() if value
    }


def test_the_record_keeps_what_was_measured() -> None:
    """Plain numbers, by training, that another machine can scale."""
    stage = Stage("fit", 10, Measured(0.5, 0.01), 20, compile=Measured(3.0))
    state = Terms({}, (stage,), Measured(4.0), drift=0.03).state()
    assert (4.0, 0.03) == (state["finalise_seconds"], state["drift"])
    kept = state["stages"]["fit"]
    assert (10, 20, 0.5, 0.01, 3.0) == tuple(
        kept[name] for name in ("epochs", "steps", "step_seconds", "step_error", "compile_seconds")
    )


@pytest.mark.parametrize(
    ("after", "validation", "expected"),
    [
        (After(Measured(2.0, 0.4)), Measured(0.5), Measured(2.0, 0.4)),
        (After(Measured(3.0, 0.4), Measured(4.0, 0.4), 8.0), None, Measured(7.0, 0.2857)),
        (After(Measured(3.0, 0.4), Measured(4.0, 0.4), 8.0), Measured(0.1), Measured(3.8, 0.3202)),
        (After(Measured(3.0, 0.4), Measured(4.0, 0.4)), Measured(0.1), Measured(7.0, 0.2857)),
    ],
)
def test_what_follows_is_known_better_once_a_validation_was_measured(
    after: After, validation: Measured | None, expected: Measured
) -> None:
    """A guess at the answers stands until a validation of the same network was timed, and where none tells of them."""
    found = after.total(validation)
    assert (expected.seconds, expected.error) == pytest.approx((found.seconds, found.error), abs=1e-4)
