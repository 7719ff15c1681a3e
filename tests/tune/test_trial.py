"""What an objective is given: steps counted, the best score kept, word of when to end, curves shown."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
import pytest

from fraud_detection import tune
from fraud_detection.config import Config, Data, Model, Report, Train
from paceline import clock
from paceline.tune import command
from paceline.tune.settings import Tune
from paceline.tune.trial import Trial


@pytest.fixture
def make(quadratic: ModuleType, tmp_path: Path) -> Any:
    """A function that makes a trial of ten steps a training; what it is asked and draws is kept in `seen`."""

    def trial(*, larger_is_better: bool = True, prune_at: int = 0, overdue_at: int = 0) -> Any:
        seen: dict[str, list[Any]] = {"asked": [], "drawn": [], "told": []}

        def ask(place: int, score: float) -> str:
            seen["asked"].append((place, score))
            return "pruned" if place == prune_at else ""

        one = Trial(
            quadratic.Config(),
            0,
            part_steps=10,
            monitor="validation_quality",
            larger_is_better=larger_is_better,
            ask=ask,
            overdue=lambda goes_on: "no time left" if len(seen["told"]) == overdue_at else "",
            folder=tmp_path,
            clock=clock.Clock(read=lambda: 0.0),
            tell=seen["told"].append,
            curve=lambda part, row: seen["drawn"].append((part, row["step"])),
        )
        return one, seen

    return trial


def steps(one: Any, scores: list[float]) -> list[str]:
    """Log a step for each score and return what each answer was."""
    return [one.run.log({"step": step, "validation_quality": score}) for step, score in enumerate(scores, start=1)]


@pytest.mark.parametrize(("larger_is_better", "expected"), [(True, 0.5), (False, 0.1)])
def test_the_best_score_so_far_is_compared(larger_is_better: bool, expected: float, make: Any) -> None:
    """A trial that has become worse is judged by its best step, for that is what early stopping keeps."""
    one, seen = make(larger_is_better=larger_is_better)
    steps(one, [0.3, 0.5, 0.1, 0.2])
    assert (4, expected) == seen["asked"][-1]
    assert 4 == one.steps


def test_a_later_training_counts_on_from_all_steps_of_the_earlier(make: Any) -> None:
    """The same place is the same part in all trials, however early a training stopped; the score is the mean so far."""
    one, seen = make()
    steps(one, [0.2, 0.4])
    one.part_ended(0.4)
    steps(one, [0.8])
    assert (11, pytest.approx(0.6)) == seen["asked"][-1]
    assert [(0, 1), (0, 2), (1, 1)] == seen["drawn"]


def test_a_step_without_a_score_is_counted_and_not_compared(make: Any) -> None:
    """Nor is a score that is no number, before the first that is one."""
    one, seen = make()
    one.run.log({"step": 1, "train_loss": 0.1})
    one.run.log({"step": 2, "validation_quality": float("nan")})
    assert ([], [1, 2]) == (seen["asked"], seen["told"])


@pytest.mark.parametrize(("expected", "why"), [("pruned", {"prune_at": 2}), ("no time left", {"overdue_at": 2})])
def test_the_trainer_is_told_to_end_and_the_objective_leaves_after_it(
    expected: str, why: dict[str, int], make: Any
) -> None:
    """Nothing is raised within a training; what was said first is said on."""
    one, _ = make(**why)
    assert ["", expected, expected] == steps(one, [0.1, 0.2, 0.3])
    with pytest.raises(optuna.TrialPruned, match=expected):
        one.part_ended(0.3)


def test_a_trial_writes_no_record_and_shows_no_warning(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Its folder stays empty and the screen too; a warning is kept once."""
    one, _ = make()
    one.run.save()
    one.run.warn("Careful.")
    one.run.warn("Careful.")
    one.progress.begin("select")
    one.progress.step(1, "note")
    one.progress.finish()
    assert ["Careful."] == one.run.warnings
    assert [] == list(one.run.folder.iterdir())
    assert ("", "") == capsys.readouterr()


@pytest.mark.slow
def test_a_network_is_searched_with_pruning(tmp_path: Path) -> None:
    """Epochs are steps like rounds: a trial far behind ends at a rung, with its curve kept as TensorBoard events."""
    small = Config(
        data=Data(customers=200, terminals=400, days=60, train_days=20, validation_days=7, test_days=7),
        train=Train(epochs=6, batch_size=512, device="cpu"),
        report=Report(resamples=0),
    )
    settings = Tune(
        sampler="grid",
        pruner="median",
        folds=1,
        repeats=0,
        tensorboard=True,
        vary=("train.mlp_learning_rate=0.001,0.002,0.003,0.004,1e-8",),
    )
    changes = {"model": Model(name="mlp", hidden_units=(16,)), "tune": settings}
    answer = command.tune(
        tune.TASK, small.model_copy(update=changes), runs_folder=tmp_path / "runs", folder=tmp_path / "tune"
    )
    assert (5, 1) == (answer["trials"], answer["pruned"])
    assert answer["settings"]["train.mlp_learning_rate"] >= 0.001
    curves = {path.parent.parent.name for path in (tmp_path / "tune").rglob("fold-0/events.*")}
    assert 5 == len(curves)
