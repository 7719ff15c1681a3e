"""When early stopping ends a training: the rule itself, the ensemble, and where it abstains."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline import forecast
from paceline.course import Course


def stopped(scores: list[float], patience: int) -> tuple[int, int]:
    """Return the end and the best step by the rule that trainings obey."""
    course = Course("round", "validation_loss", larger_is_better=True, patience=patience)
    for score in scores:
        course.step += 1
        course.judge(score)
        if course.ended:
            break
    return course.step, course.kept()


@given(
    st.lists(st.integers(0, 6), min_size=2, max_size=30), st.integers(1, 8), st.integers(0, 29), st.integers(0, 1000)
)
def test_the_rule_is_that_of_the_course(values: list[int], patience: int, seen: int, seed: int) -> None:
    """Whatever the scores are and however many are known: same end, same step kept."""
    scores = [float(value) for value in values]
    end, kept = stopped(scores, patience)
    seen = min(seen, end)
    ends, bests, _ = forecast.judge(
        np.array(scores[:seen]), np.array([scores[seen:]]).reshape(1, -1), patience=patience
    )
    if seen < end:
        assert (end, kept) == (ends[0], bests[0])


def test_a_gain_below_min_delta_is_none() -> None:
    """Ten small steps up are no better score, one large one is."""
    ends, kept, _ = forecast.judge(
        np.array([1.0]), np.array([[1.05, 1.08, 1.2, 1.21, 1.22]]), patience=2, min_delta=0.1
    )
    assert (3, 1) == (ends[0], kept[0])


def curve(rounds: int, *, constant: float, decline: float, seed: int) -> list[float]:
    """Return scores that rise, and fall a little after their best."""
    step = np.arange(1, rounds + 1)
    rise = 0.7 - 0.4 * np.exp(-step / constant) - decline * np.maximum(0, step - 4 * constant)
    return list(rise + np.random.default_rng(seed).normal(0, 0.002, rounds))


@pytest.mark.parametrize("seed", range(6))
def test_an_end_is_foreseen_where_an_earlier_training_went_the_same_way(seed: int) -> None:
    """From a fifth of the rounds on, the median is within a quarter."""
    earlier = [curve(260, constant=25, decline=4e-4, seed=100 + at)[:200] for at in range(3)]
    scores = curve(400, constant=25, decline=4e-4, seed=seed)
    end, _ = stopped(scores, 40)
    found = forecast.foresee(
        scores[: end // 5], most=400, patience=40, larger_is_better=True, earlier=earlier, seed=seed
    )
    assert "" == found.abstains
    assert end == pytest.approx(float(np.median(found.ends)), rel=0.25)


def test_it_abstains_where_it_cannot_know() -> None:
    """A few scores tell nothing: then every possible end is in the answer, and the reason is given."""
    found = forecast.foresee([0.3, 0.4, 0.5], most=600, patience=50, larger_is_better=True)
    assert "3 scores are too few" == found.abstains
    assert (53, 600) == (found.ends.min(), found.ends.max())


def test_without_patience_the_end_is_known() -> None:
    """All rounds, and the last is kept."""
    found = forecast.foresee([0.1] * 10, most=80, patience=0, larger_is_better=True)
    assert "" == found.abstains
    assert np.all(found.ends == 80)
    assert np.all(found.kept == 80)


def test_a_target_beyond_the_curve_is_not_reached() -> None:
    """A score below the limit is reached at about its time; one far above it, with hardly any probability."""
    scores = curve(400, constant=20, decline=0.0, seed=1)[:60]
    near = forecast.foresee(scores, most=400, patience=0, larger_is_better=True, target=0.69)
    far = forecast.foresee(scores, most=400, patience=0, larger_is_better=True, target=0.95)
    assert 0.8 < (near.reach_probability or 0.0)
    assert 0.05 > (1.0 if far.reach_probability is None else far.reach_probability)
    assert 74 == pytest.approx(float(np.median(near.reached[np.isfinite(near.reached)])), rel=0.3)


def test_few_scores_say_nothing_of_a_target_that_they_have_not_reached() -> None:
    """It is not taken for one that will never be reached; one that is behind already is known."""
    ahead = forecast.foresee([0.3, 0.4], most=80, patience=0, larger_is_better=True, target=0.9)
    behind = forecast.foresee([0.3, 0.4], most=80, patience=5, larger_is_better=True, target=0.35)
    assert (None, 1.0) == (ahead.reach_probability, behind.reach_probability)
    assert {2.0} == set(behind.reached)


def test_smaller_may_be_better() -> None:
    """A loss is the same curve upside down."""
    scores = curve(400, constant=25, decline=4e-4, seed=3)
    up = forecast.foresee(scores[:80], most=400, patience=40, larger_is_better=True)
    down = forecast.foresee([-each for each in scores[:80]], most=400, patience=40, larger_is_better=False)
    assert list(up.ends) == list(down.ends)
