"""Measuring what a step waits for: a network's own training, left before its first step."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from paceline import fit_keras, step_times, surroundings
from paceline.config import Section
from paceline.errors import PacelineError
from paceline.fit_keras import Batches
from paceline.levers import command, step_probe
from paceline.levers.task import Task
from paceline.progress import Progress
from paceline.record import Run
from paceline.step_times import StepTimes

LOADING_SECONDS = 0.02


class Train(Section):
    """How it is trained."""

    epochs: int = 3
    refuse: bool = False


class Config(Section):
    """The configuration of the project."""

    train: Train = Train()


def slow(x: Any, y: Any, rng: np.random.Generator) -> Any:
    """Augment a batch in a time that far exceeds a step's."""
    time.sleep(LOADING_SECONDS)
    return x, y


def train(prepared: str, config: Config, run: Run, progress: Progress) -> None:
    """Train a head for an epoch, then a network for as long as asked, its batches slow to make."""
    if config.train.refuse:
        raise PacelineError("train.refuse is true.", "Mend it.")
    run.device = fit_keras.prepare("cpu", seed=0).state()
    x = np.ones((64, 5), "float32")
    for stage, epochs in (("head", 1), ("fit", config.train.epochs)):
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4 if stage == "fit" else 1)])
        model.add(keras.layers.Dense(1))
        model.compile(optimizer="sgd", loss="mse")
        batches = Batches(x, x[:, :1], batch_size=16, seed=0, run=run, augment=slow, workers=0)
        fit_keras.fit(
            model,
            batches,
            None,
            epochs=epochs,
            early_stopping_epochs=0,
            monitor="loss",
            larger_is_better=False,
            checkpoint_seconds=1e6,
            stage=stage,
            run=run,
            progress=progress,
        )


@pytest.fixture
def task() -> Task[Config, str]:
    """The project's side."""
    return Task(
        "validation_loss",
        False,
        lambda config: [],
        lambda config: "prepared",
        train,
        lambda config: {"train.epochs": 10**6},
        lambda prepared, share, seed: (prepared, 64),
        of_network=lambda config: True,
    )


def test_a_training_that_waits_for_its_batches_is_found_input_bound(
    task: Task[Config, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the lasting training that is looked at, not the head before it, in the sizes that it has."""
    monkeypatch.setattr(step_probe, "SECONDS", 0.1)
    found = step_probe.probe(task, "prepared", Config())
    assert found is not None
    times = StepTimes(**found["times"])
    assert (16, 29, "cpu", "float32") == tuple(
        found[name] for name in ("batch_size", "trainable_parameters", "kind", "precision")
    )
    assert (16, 4) == (times.rows, times.small_rows)
    assert LOADING_SECONDS <= min(times.loader, times.together)
    assert times.step < LOADING_SECONDS
    assert "input" == step_times.bound_by(times)


def test_the_command_keeps_it_for_reports(
    task: Task[Config, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: dict[str, Any]
) -> None:
    """Beside the levers, and a later call that has no time for it leaves it there; the page says what came out."""
    monkeypatch.setattr(step_probe, "SECONDS", 0.05)
    for budget_seconds in (command.LEAST_STEP_SECONDS + 10, 1.0):
        found = command.levers(
            task,
            Config(),
            budget_seconds=budget_seconds,
            output=tmp_path / f"{budget_seconds}.html",
            runs_folder=tmp_path,
            say=lambda text: None,
        )
        assert (found["step_times"] is None) == (budget_seconds == 1.0)
        assert ("It is input-bound" in Path(found["sheet"]).read_text()) == (budget_seconds > 1.0)
    kept = json.loads((tmp_path / step_times.FILE).read_text())
    assert kept == surroundings.of(record, tmp_path)["step_times"]


def test_a_project_that_cannot_train_so_still_has_its_levers(task: Task[Config, str], tmp_path: Path) -> None:
    """What stands in the way is said, and no step is looked at."""
    said: list[str] = []
    config = Config(train=Train(refuse=True))
    found = command.levers(task, config, budget_seconds=110.0, output=tmp_path / "l.html", say=said.append)
    assert found["step_times"] is None
    assert "levers: train.refuse is true. Mend it." == said[-1]
