"""Progress and time left over all stages of a run."""

from __future__ import annotations

import pytest

from paceline import budget
from paceline.progress import Plan, Progress


def test_before_a_measurement_there_is_no_estimate() -> None:
    """Nothing measured, nothing claimed."""
    assert Plan({"select": 100}).seconds_left() is None


def test_a_stage_not_begun_counts_at_the_latest_rate() -> None:
    """All stages count from the beginning, each at its own rate once it has one."""
    plan = Plan({"select": 100, "refit": 50, "export": 10})
    plan.advance("select", 40, 0.5)
    assert (60 + 50 + 10) * 0.5 == plan.seconds_left()
    plan.advance("select", 100, 0.5)
    plan.advance("refit", 10, 2.0)
    assert (40 + 10) * 2.0 == plan.seconds_left()


def test_a_stage_that_ends_early_settles_the_later_ones() -> None:
    """The rounds that selection chose are those the refit will take."""
    plan = Plan({"select": 600, "refit": 600})
    plan.advance("select", 182, 1.0)
    plan.finish("select", next_steps={"refit": 132})
    assert {"select": 182, "refit": 132} == plan.steps
    assert 132.0 == plan.seconds_left()


def test_a_stage_finished_without_a_step_leaves_nothing() -> None:
    """A stage that had nothing to do does not stay in the estimate."""
    plan = Plan({"select": 5, "refit": 5})
    plan.finish("select")
    plan.advance("refit", 5, 1.0)
    assert 0.0 == plan.seconds_left()


def test_steps_that_time_decides_about_are_not_counted_before() -> None:
    """Nothing is claimed of what is left until the number of steps is known."""
    plan = Plan({"head": 10, "fine_tune": budget.AUTO})
    plan.advance("head", 4, 0.5)
    assert (None, None) == (plan.total(), plan.seconds_left())
    plan.steps["fine_tune"] = 20
    assert (30, 13.0) == (plan.total(), plan.seconds_left())


def test_what_follows_the_last_stage_is_left_too() -> None:
    """The line is of the whole run: after the last step there are scores and a report."""
    plan = Plan({"fit": 10}, after_seconds=7.0)
    assert plan.seconds_left() is None
    plan.advance("fit", 10, 2.0)
    assert 7.0 == plan.seconds_left()


def test_nothing_is_left_at_the_end() -> None:
    """The last step of the last stage leaves no second."""
    plan = Plan({"select": 2})
    plan.advance("select", 2, 7.0)
    assert 0.0 == plan.seconds_left()


def test_the_rate_is_the_mean_of_the_stage_so_far() -> None:
    """The measured mean of a stage's steps is its rate, whatever came before the stage."""
    reading = [50.0]
    with Progress({"select": 10, "refit": 10}, unit="round", read=lambda: reading[0]) as progress:
        progress.begin("select")
        reading[0] += 8
        progress.step(4, "")
        assert 2.0 * 16 == progress.plan.seconds_left()
        reading[0] += 100  # between the stages
        progress.finish(next_steps={"refit": 4})
        progress.begin("refit")
        assert 2.0 * 4 == progress.plan.seconds_left()
        reading[0] += 3
        progress.step(1, "")
        assert 3.0 * 3 == progress.plan.seconds_left()


def test_the_first_steps_say_nothing_about_the_rest() -> None:
    """What compiles, allocates and sketches once is forgotten as soon as there is a step after it."""
    reading = [0.0]
    with Progress({"select": 20}, unit="round", read=lambda: reading[0]) as progress:
        progress.begin("select")
        reading[0] += 50
        progress.step(1, "")
        assert 50.0 * 19 == progress.plan.seconds_left()
        for step in (2, 3):
            reading[0] += 2
            progress.step(step, "")
            assert 2.0 * (20 - step) == progress.plan.seconds_left()


def test_a_resumed_stage_measures_only_what_it_did_itself() -> None:
    """Rounds of an earlier session count as done, not as fast."""
    reading = [0.0]
    with Progress({"select": 100}, unit="round", read=lambda: reading[0]) as progress:
        progress.begin("select", step=90)
        assert progress.plan.seconds_left() is None
        progress.step(90, "")  # nothing new: no rate of zero over zero
        assert progress.plan.seconds_left() is None
        reading[0] += 6
        progress.step(92, "")
        assert 3.0 * 8 == progress.plan.seconds_left()


def test_the_line_shows_what_is_done_left_and_how_good(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line holds the stage, the steps of all stages, the time left and the note."""
    reading = [0.0]
    with Progress({"select": 4, "refit": 4}, unit="round", read=lambda: reading[0]) as progress:
        progress.begin("select")
        reading[0] += 30
        progress.step(1, "best auc_roc 0.900")
    line = capsys.readouterr().err.rpartition("\r")[2]
    assert line.startswith("select 1/8 rounds")
    assert line.rstrip().endswith("gone, about 03:30 left, best auc_roc 0.900")


def test_an_early_end_shortens_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """The total is what the run will take, not what it might have taken."""
    with Progress({"select": 600, "refit": 600}, unit="round") as progress:
        progress.begin("select")
        progress.step(30, "")
        progress.finish(next_steps={"refit": 20})
        progress.begin("refit")
        progress.step(20, "")
        progress.finish()
    assert "refit 50/50 rounds" in capsys.readouterr().err
