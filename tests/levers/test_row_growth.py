"""How a pass grows with its rows: what probes on shares of them show, and what is said of more."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from paceline.config import Section
from paceline.course import Course
from paceline.levers import row_growth
from paceline.levers.row_growth import Growth, Size
from paceline.levers.task import Task
from paceline.progress import Progress
from paceline.record import Run
from paceline.stretch import Stretch


class Config(Section):
    """Nothing to configure."""


def boosting(seconds: Callable[[int], float], rounds: int = 10**6) -> Task[Config, int]:
    """Return a project of 8,000 rows whose rounds take `seconds` of their rows."""

    def train(rows: int, config: Config, run: Run, progress: Progress) -> None:
        assert run.pace is not None
        run.pace.begin("select", Course("round", "s", True, 0), most=rounds, steps=1, validation_steps=0, trend=0)
        run.pace.observe(Stretch("steps", 1, 1, 9.0, True))  # sketches the bins
        for number in range(2, rounds):
            run.pace.observe(Stretch("steps", number, 1, seconds(rows), False))

    return Task(
        "validation_s",
        True,
        lambda config: [],
        lambda config: 8000,
        train,
        lambda config: {},
        lambda rows, share, seed: (round(share * rows), round(share * rows)),
    )


def found(seconds: Callable[[int], float]) -> Growth:
    """Return the growth of rounds that take `seconds` of their rows."""
    readings = iter(range(1000))
    growth = row_growth.measure(boosting(seconds), Config(), seconds=5.0, read=lambda: float(next(readings)))
    assert growth is not None
    return growth


def test_three_shares_are_measured_in_turns() -> None:
    """Their rows and the seconds of a round; what sketches the bins is no round."""
    growth = found(lambda rows: 1e-5 * rows)
    assert [2000, 4000, 8000] == [size.rows for size in growth.sizes]
    assert [0.02, 0.04, 0.08] == pytest.approx([size.seconds for size in growth.sizes])
    assert (pytest.approx(1.0), pytest.approx(0.0, abs=1e-9)) == (growth.exponent()[0], growth.fixed_share())


@pytest.mark.parametrize("by", [0.5, 2.0, 10.0])
def test_what_a_round_takes_for_nothing_is_not_multiplied(by: float) -> None:
    """A round of 10 ms and 10 µs a row: 90 ms for all, of which a ninth stays."""
    growth = found(lambda rows: 0.01 + 1e-5 * rows)
    assert pytest.approx(1 / 9) == growth.fixed_share()
    times, error = growth.times(by)
    assert pytest.approx((1 + 8 * by) / 9) == times
    assert 0.05 * abs(math.log(by)) < error < 0.15 * abs(math.log(by))


def test_rounds_that_grow_by_more_than_the_rows_go_on_so() -> None:
    """Caches that overflow: an exponent of 1.2 is kept, and nothing is called fixed."""
    growth = found(lambda rows: 1e-6 * rows**1.2)
    assert (pytest.approx(1.2), 0.0) == (growth.exponent()[0], growth.fixed_share())
    assert pytest.approx(10**1.2) == growth.times(10.0)[0]


def test_more_rows_never_take_less_than_their_time_where_nothing_is_fixed() -> None:
    """An exponent below 1 is noise then; it shows in the error."""
    growth = Growth((Size(100, 1.0, 0.01), Size(200, 2.4, 0.01), Size(400, 3.9, 0.01)))
    assert growth.exponent()[0] < 1
    assert 0.0 == growth.fixed_share()
    assert 10.0 == growth.times(10.0)[0]


def test_noise_widens_what_is_said() -> None:
    """The same means, ten times as unsure."""
    quiet, loud = (Growth(tuple(Size(rows, rows / 100, e) for rows in (100, 200, 400))) for e in (0.01, 0.1))
    assert quiet.times(10.0)[1] < loud.times(10.0)[1]
    assert quiet.times(2.0)[1] < quiet.times(10.0)[1]
    assert 0.0 == quiet.times(1.0)[1]


def test_trainings_that_are_over_show_nothing() -> None:
    """They are not made again."""
    assert row_growth.measure(boosting(lambda rows: 1.0, rounds=2), Config(), read=lambda: 0.0) is None
