"""What is kept of the time: for the comparison, for the final run, and by what it is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from paceline.tune.deadline import Budget, finish_seconds


def test_the_final_run_and_the_comparison_are_kept_free() -> None:
    """Of 100 s: 1.25 times (4 + 6 + 2 trials of 10) for the final run, six trials at most for the comparison."""
    budget = Budget(
        100.0,
        setup_seconds=4,
        finish_seconds=6,
        trainings=2,
        repeats=6,
        comparison_seconds=15.0,
        read=lambda: 20.0,
    )
    assert 37.5 == budget.reserve(10.0)
    assert 42.5 == budget.before_final_run(10.0)
    assert 27.5 == budget.to_search(10.0)
    assert 59.0 == budget.to_search(1.0)


def test_without_a_deadline_there_is_no_end() -> None:
    """Neither for the search nor for the final run."""
    budget = Budget(None, setup_seconds=4, finish_seconds=6, trainings=2)
    assert budget.to_search(10.0) is None
    assert budget.before_final_run(10.0) is None
    assert budget.to_first_trial() is None
    assert budget.final_run_fits(10.0)


def test_what_is_kept_grows_with_the_load() -> None:
    """Half the time waited for cores doubles reading and scoring, which were measured before, and widens the margin."""
    waited = 0.0
    budget = Budget(100.0, setup_seconds=4, finish_seconds=6, trainings=2, waited=lambda: waited, read=lambda: 20.0)
    assert 1.25 * 30 == budget.reserve(10.0)
    waited = 0.5
    assert 1.5 * (20 + 20) == budget.reserve(10.0)
    assert 80 - 1.5 * 2 * 5 == budget.to_first_trial()


def test_what_was_measured_under_the_same_load_is_not_made_slower() -> None:
    """Reading waited as much as is waited now; less load than then promises nothing."""
    for waited in (0.5, 0.2):
        budget = Budget(
            100.0,
            setup_seconds=4,
            finish_seconds=6,
            trainings=2,
            setup_waited=0.5,
            waited=lambda waited=waited: waited,  # type: ignore[misc]
        )
        assert 1.0 == budget.slower()


@pytest.mark.parametrize(("expected", "moment"), [(True, 80.0), (False, 80.5)])
def test_half_of_the_training_is_worth_a_final_run(expected: bool, moment: float) -> None:
    """4 + 6 + half of 2 trials of 10, without a margin; less is not."""
    budget = Budget(100.0, setup_seconds=4, finish_seconds=6, trainings=2, read=lambda: moment)
    assert expected == budget.final_run_fits(10.0)


def record(folder: Path, name: str, **changes: Any) -> None:
    """Leave the record of a run that read for 2 s, trained for 50 and took 5 s for the rest."""
    phases = {"import": 1.0, "data": 2.0, "train": 40.0, "validation": 10.0, "score": 4.0, "finalise": 1.0}
    (folder / name).mkdir(parents=True)
    (folder / name / "run.json").write_text(json.dumps({"status": "done", "phases": phases, **changes}))


@pytest.mark.parametrize(("expected", "setup_seconds"), [(5.0, 1.0), (5.0, 2.0), (50.0, 20.0)])
def test_what_follows_training_is_known_from_the_latest_run(
    expected: float, setup_seconds: float, tmp_path: Path
) -> None:
    """In proportion to what reading takes now: a run on little data says little about one on much."""
    record(tmp_path, "1")
    record(tmp_path, "2", status="failed")
    assert expected == finish_seconds(tmp_path, setup_seconds)


def test_without_a_run_it_is_taken_from_what_reading_took(tmp_path: Path) -> None:
    """Six seconds at least; a record that cannot be read is no run."""
    record(tmp_path, "1", phases=[])
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "run.json").write_text("{")
    assert 6.0 == finish_seconds(tmp_path, 0.5)
    assert 60.0 == finish_seconds(tmp_path, 20.0)
