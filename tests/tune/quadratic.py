"""A task whose quality is known: no data, no framework, steps that take the time that a test says."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from time import sleep
from typing import Any, Literal

from optuna.distributions import FloatDistribution, IntDistribution
from pydantic import Field

from paceline import clock, record
from paceline.budget import Ceiling
from paceline.config import Section
from paceline.errors import PacelineError
from paceline.tune.settings import Tune
from paceline.tune.space import Space
from paceline.tune.task import Task
from paceline.tune.trial import Outcome, Own, Trial

MOST_WAIT_SECONDS = 60.0


class Time:
    """A clock that moves when the task works."""

    def __init__(self) -> None:
        self.reading = 0.0

    def __call__(self) -> float:
        """Return the reading."""
        return self.reading


class Data(Section):
    """Nothing is read."""

    source: str = "none"


class Model(Section):
    """What is varied."""

    depth: int = Field(4, ge=1)


class Train(Section):
    """What is varied."""

    seed: int = 0
    rate: float = Field(0.5, gt=0)
    steps: int = 10
    behave: Literal["well", "fail", "refuse", "nan", "kill once", "wait for another"] = "well"
    marks: str = ""  # a folder, for what a task has to remember beyond a process


class Config(Section):
    """The settings of the task."""

    data: Data = Data()
    model: Model = Model()
    train: Train = Train()
    tune: Tune = Tune(trials=8, repeats=2)


time = Time()
step_seconds = 1.0


def space(config: Config) -> Space:
    """Two ranges."""
    return {"train.rate": FloatDistribution(0.01, 1.0, log=True), "model.depth": IntDistribution(1, 8)}


def quality(config: Config) -> float:
    """Best at a rate of 0.1 and a depth of 6."""
    return 1 - abs(config.train.rate - 0.1) - 0.05 * abs(config.model.depth - 6)


def objective(prepared: str, trial: Trial[Config]) -> Outcome:
    """Rise step by step to the quality of the settings, on each fold."""
    config = trial.config
    if config.train.behave == "fail":
        raise ZeroDivisionError("nothing to divide by")
    if config.train.behave == "refuse" and trial.number:
        raise PacelineError("The rate is refused.", "Take another.")
    if config.train.behave == "kill once" and trial.number == 2:
        mark = Path(config.train.marks) / "killed"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if config.train.behave == "wait for another":  # process: one may have made all trials before it has started
        (Path(config.train.marks) / f"here-{os.getpid()}").touch()
        until = clock.now() + MOST_WAIT_SECONDS
        while len(list(Path(config.train.marks).glob("here-*"))) < 2 and clock.now() < until:
            sleep(0.05)

    def save(folder: Path) -> dict[str, Any]:
        (folder / "model.json").write_text(json.dumps(config.model_dump(mode="json", exclude={"tune"})))
        return {"file": "model.json"}

    for _ in range(config.tune.folds):
        value = 0.0
        for step in range(1, config.train.steps + 1):
            time.reading += step_seconds
            value = quality(config) * step / config.train.steps
            if trial.run.log({"step": step, "validation_quality": value}):
                break
        trial.offer(Own(value + 0.001 * config.train.seed, save))
        trial.part_ended(value)
    if config.train.behave == "nan":
        return Outcome(float("nan"))
    return Outcome(value + 0.001 * config.train.seed, limits={"depth": config.model.depth - 5.0}, notes={"cost": 2.0})


def train(
    config: Config,
    *,
    runs_folder: Path,
    command: str = "",
    started: float | None = None,
    ceiling: Ceiling | None = None,
) -> dict[str, Any]:
    """Leave a run as the command `train` does, of the steps that end below the ceiling."""
    spent, done = 0.0, 0
    while done < config.train.steps and (ceiling is None or spent + step_seconds <= ceiling.seconds):
        spent, done = spent + step_seconds, done + 1
    time.reading += spent
    with record.start(config, runs_folder, name="quadratic", command=command, started=started) as run:
        run.scores = {"quality": {"value": quality(config)}}
        run.budget = {"changed": done < config.train.steps}
        (run.folder / "model.json").write_text(json.dumps(config.model_dump(mode="json", exclude={"tune"})))
    return {"run": str(run.folder), "scores": run.scores, "status": run.status}


def prepare(config: Config) -> str:
    """Nothing has to be read."""
    return "prepared"


def part_steps(config: Config) -> int:
    """Return the steps of a fold."""
    return config.train.steps


def trainings(config: Config) -> int:
    """Return what `train` makes."""
    return 1


TASK: Task[Config, str] = Task(
    score="quality",
    monitor="validation_quality",
    larger_is_better=True,
    space=space,
    part_steps=part_steps,
    trainings=trainings,
    prepare=prepare,
    objective=objective,
    limits=("depth",),
    train=train,
)
