"""What the first stretches of a training measure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline.probe import FEW_BLOCKS_SPREAD, FORWARD_SHARE, Probe
from paceline.stretch import Stretch


def epochs_probe(*stretches: Stretch, steps: int = 10) -> Probe:
    """Return a probe of epochs that has seen `stretches`."""
    probe = Probe(unit="epoch", steps=steps, validation_steps=4, trend=0.1, most=20)
    for stretch in stretches:
        probe.add(stretch)
    return probe


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0.01, 10.0)), min_size=1, max_size=20))
def test_the_mean_step_is_all_seconds_over_all_steps(blocks: list[tuple[int, float]]) -> None:
    """However long the blocks: a run's time is a sum."""
    probe = epochs_probe(*(Stretch("steps", 1, steps, seconds, False) for steps, seconds in blocks))
    expected = sum(seconds for _, seconds in blocks) / sum(steps for steps, _ in blocks)
    assert expected == pytest.approx(probe.step().seconds)
    assert probe.step().error > 0
    assert sum(steps for steps, _ in blocks) / 10 == pytest.approx(probe.done)


def test_the_error_falls_with_the_blocks_and_grows_with_their_spread() -> None:
    """Sixteen blocks alike are known four times as well as one; blocks that scatter are known less."""
    one, sixteen = (epochs_probe(*[Stretch("steps", 1, 5, 1.0, False)] * count).step().error for count in (1, 16))
    assert sixteen < one / 4
    assert one == pytest.approx(FEW_BLOCKS_SPREAD * 1.5)
    rng = np.random.default_rng(0)
    ragged = [Stretch("steps", 1, 5, float(seconds), False) for seconds in rng.uniform(0.5, 1.5, 16)]
    assert 5 * sixteen < epochs_probe(*ragged).step().error


def test_what_compiled_says_nothing_about_the_other_steps() -> None:
    """The first block is kept apart; what it took beyond its steps is the compilation."""
    probe = epochs_probe(Stretch("steps", 1, 1, 5.1, True), Stretch("steps", 1, 9, 0.9, False))
    assert (0.1, 5.0) == (pytest.approx(probe.step().seconds), pytest.approx(probe.compile().seconds))
    alone = epochs_probe(Stretch("steps", 1, 1, 5.1, True))
    assert (5.1, 1.0) == (alone.step().seconds, alone.step().error)


def test_validation_is_guessed_until_it_was_measured() -> None:
    """From forward steps before, from itself after, without what compiled."""
    block = Stretch("steps", 1, 10, 1.0, False)
    guess = epochs_probe(block).validation()
    assert (FORWARD_SHARE * 0.1 * 4, 0.5) == (pytest.approx(guess.seconds), guess.error)
    seen = epochs_probe(block, Stretch("validation", 1, 4, 3.0, True), Stretch("validation", 2, 4, 0.25, False))
    assert 0.25 == seen.validation().seconds
    assert seen.validation().error < guess.error
    assert 2.75 == pytest.approx(seen.compile().seconds)


def test_what_an_epoch_takes_beside_its_parts() -> None:
    """The whole epoch less its steps and its validation."""
    probe = epochs_probe(
        Stretch("steps", 1, 10, 1.0, False),
        Stretch("validation", 1, 4, 0.5, False),
        Stretch("epoch", 1, 10, 1.75, False),
    )
    assert 0.25 == probe.overhead().seconds
    assert 0.0 == epochs_probe(Stretch("steps", 1, 10, 1.0, False)).overhead().seconds


def rounds_probe(growth: float, noise: float, trend: float | None) -> Probe:
    """Return a probe of 100 rounds of 600 whose rounds take `1 + growth · round`, in blocks of five."""
    rng = np.random.default_rng(1)
    probe = Probe(unit="round", steps=1, validation_steps=0, trend=trend, most=600)
    for last in range(5, 101, 5):
        seconds = 5 * (1 + growth * (last - 2.5)) * float(np.exp(noise * rng.standard_normal()))
        probe.add(Stretch("steps", last, 5, seconds, False))
    return probe


def test_a_trend_is_found_where_there_may_be_one() -> None:
    """DART's rounds grow with the trees; a plain round does not, and noise is not taken for it."""
    growth, error = rounds_probe(0.01, 0.02, trend=None).growth()
    assert 0.01 / 1.5 == pytest.approx(growth, abs=3 * error, rel=0.15)  # relative to the mean of the rounds seen
    growth, error = rounds_probe(100.0, 0.02, trend=None).growth()
    assert 1 / 50 == pytest.approx(growth, abs=3 * error, rel=0.05)  # in proportion to the round's number
    growth, error = rounds_probe(0.0, 0.1, trend=0.1).growth()
    assert abs(growth) * 600 < 0.1
    assert 0 < error <= 0.1 / 600


def test_a_training_of_one_step_has_no_trend() -> None:
    """Where none is allowed none is found, and nothing is divided by it."""
    probe = Probe(unit="fit", steps=1, validation_steps=0, trend=0.0, most=1)
    probe.add(Stretch("steps", 1, 1, 0.5, False))
    assert (0.0, 0.0) == probe.growth()
    assert 0.5 == probe.stage("fit", checkpoint_every_seconds=30.0).step.seconds


def test_recent_steps_show_a_slow_down() -> None:
    """The latest blocks alone."""
    blocks = [Stretch("steps", 1, 5, 1.0, False)] * 10 + [Stretch("steps", 2, 5, 3.0, False)] * 5
    probe = epochs_probe(*blocks)
    assert 0.6 == pytest.approx(probe.recent())
    assert probe.step().seconds < 0.4


def test_a_stage_is_what_was_measured() -> None:
    """All terms in one, for the model of time."""
    probe = epochs_probe(
        Stretch("steps", 1, 1, 5.1, True), Stretch("steps", 1, 9, 0.9, False), Stretch("checkpoint", 1, 0, 0.2, False)
    )
    stage = probe.stage("fit", checkpoint_every_seconds=30.0)
    assert ("fit", 20, 10, 1.0, 0.2) == (stage.name, stage.epochs, stage.steps, stage.done, stage.checkpoint.seconds)


def test_an_epoch_takes_something_beside_its_steps_and_its_validation() -> None:
    """The mean over the epochs that compiled nothing, checkpoints apart."""
    probe = epochs_probe()
    for epoch, rest, compiled in ((1, 3.0, True), (2, 0.2, False), (3, 0.4, False)):
        probe.add(Stretch("steps", epoch, 10, 1.0, compiled))
        probe.add(Stretch("validation", epoch, 2, 0.5, compiled))
        probe.add(Stretch("epoch", epoch, 10, 1.5 + rest, compiled))
        probe.add(Stretch("checkpoint", epoch, 0, 5.0, False))
    assert 0.3 == pytest.approx(probe.overhead().seconds)


def test_checkpoints_are_foreseen_as_often_as_they_are_made() -> None:
    """Of epochs each, which is the most; of rounds as configured."""
    for unit, step, expected in (("epoch", 0.1, [0.0, 0.0]), ("epoch", 1.0, [0.0, 0.0]), ("round", 0.1, [30.0, 30.0])):
        probe = Probe(unit=unit, steps=10, validation_steps=0, trend=0.1, most=20)
        probe.add(Stretch("steps", 1, 10, 10 * step, False))
        found = [probe.stage("fit", checkpoint_every_seconds=30.0).checkpoint_every_seconds]
        probe.add(Stretch("checkpoint", 1, 0, 0.02, False))
        found.append(probe.stage("fit", checkpoint_every_seconds=30.0).checkpoint_every_seconds)
        assert expected == pytest.approx(found), unit
