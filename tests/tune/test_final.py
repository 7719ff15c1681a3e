"""How a search ends: the best settings trained for good, shortened, or the trial's own model; never nothing."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
import pytest

from paceline import budget, clock
from paceline.budget import Ceiling
from paceline.errors import PacelineError
from paceline.tune import final, kept
from paceline.tune.deadline import Budget
from paceline.tune.trial import Own


@pytest.fixture
def end(quadratic: ModuleType, tmp_path: Path) -> Any:
    """A function that ends a search of 100 s at `moment` with the given `train`; the best trial took 40 s."""

    def run(train: Any, moment: float, *, models: bool = True) -> dict[str, Any]:
        object.__setattr__(quadratic.TASK, "train", train)
        best = optuna.create_trial(value=0.5, user_attrs={"facts": {"seconds": 40.0}})
        best.number = 2
        if models:
            kept.keep(tmp_path / "kept", 2, Own(0.5, lambda folder: {"file": "none"}), {})
        return final.train(
            quadratic.TASK,
            quadratic.Config(),
            best,
            path=tmp_path / "config.toml",
            kept_models=tmp_path / "kept",
            time_left=Budget(100.0, setup_seconds=4, finish_seconds=6, trainings=1, read=lambda: moment),
            ceiling=Ceiling(100.0, "--time-budget 100s"),
            times=clock.Clock(started=0.0, read=lambda: moment),
            runs_folder=tmp_path / "runs",
            command="tune",
        )

    return run


@pytest.mark.parametrize("moment", [40.0, 69.0])
def test_the_final_run_has_what_is_left(moment: float, end: Any) -> None:
    """Less what the page takes; also where it has to be shortened."""
    given: list[Ceiling] = []

    def train(*arguments: Any, ceiling: Ceiling, **rest: Any) -> dict[str, Any]:
        given.append(ceiling)
        return {"run": "a folder"}

    assert {"run": "a folder", "is_a_trial": False} == end(train, moment)
    assert [100 - moment - final.REPORT_SECONDS] == [each.seconds for each in given]


def test_a_trials_own_model_is_better_than_a_training_cut_to_less_than_half(end: Any) -> None:
    """Half of 40 s and 10 for the rest end after 100: nothing is trained."""

    def train(*arguments: Any, **rest: Any) -> dict[str, Any]:
        raise AssertionError("It was trained.")

    answer = end(train, 71.0)
    assert answer["is_a_trial"]
    assert "done" == json.loads((Path(answer["run"]) / "run.json").read_text())["status"]


def test_a_final_run_that_finds_no_time_leaves_the_trials_model(end: Any) -> None:
    """Its reading took longer than was known before; without a model there is an error, and the settings."""

    def train(*arguments: Any, ceiling: Ceiling, **rest: Any) -> dict[str, Any]:
        raise budget.too_little(ceiling, 70.0, "getting ready")

    with pytest.raises(PacelineError, match=r"The final run failed: .*leaves no time to train.*The best settings are"):
        end(train, 50.0, models=False)
    assert end(train, 50.0)["is_a_trial"]


def test_what_is_no_matter_of_time_is_not_hidden(end: Any) -> None:
    """A full disk is said, also where a trial's model is there."""

    def train(*arguments: Any, **rest: Any) -> dict[str, Any]:
        raise PacelineError("The disk is full.", "Make room.")

    with pytest.raises(PacelineError, match=r"The final run failed: The disk is full\."):
        end(train, 50.0)
