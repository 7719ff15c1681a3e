"""A project whose trainings are arithmetic: how long a pass takes and how it learns is in its configuration."""

from __future__ import annotations

import pytest

from paceline.config import Section
from paceline.course import Course
from paceline.errors import PacelineError
from paceline.levers.task import Lever, Task
from paceline.progress import Progress
from paceline.record import Run
from paceline.stretch import Stretch


class Train(Section):
    """How it is trained."""

    seed: int = 0
    epochs: int = 40
    rate: float = 0.1
    fast: bool = False
    broken: bool = False


class Config(Section):
    """The configuration of the project."""

    train: Train = Train()


def train(prepared: str, config: Config, run: Run, progress: Progress) -> None:
    """Go through `epochs` epochs that count as 10 ms each, or 5 ms where they are `fast`."""
    settings = config.train
    if settings.broken:
        raise PacelineError("train.broken is true.", "Mend it.")
    share = 1.0 if prepared == "prepared" else float(prepared)
    if run.pace is not None:
        run.pace.begin("fit", Course("epoch", "s", True, 0), most=settings.epochs, steps=4, validation_steps=0, trend=0)
        run.pace.observe(Stretch("steps", 1, 4, 1.0, True))
    for epoch in range(1, settings.epochs + 1):
        if run.pace is not None:
            run.pace.observe(Stretch("steps", epoch, 4, 0.005 if settings.fast else 0.010, False))
        if run.log({"step": epoch, "validation_s": share * (1 - (1 - settings.rate) ** epoch) + 0.001 * settings.seed}):
            return


LEVERS = [
    Lever("broken", "throughput", {"train.broken": True}),
    Lever("fast", "throughput", {"train.fast": True}),
    Lever("rate", "convergence", {"train.rate": 0.3}, "it may jump"),
]


@pytest.fixture
def config() -> Config:
    """The defaults."""
    return Config()


@pytest.fixture
def task() -> Task[Config, str]:
    """The project's side."""
    return Task(
        "validation_s",
        True,
        lambda config: LEVERS,
        lambda config: "prepared",
        train,
        lambda config: {"train.epochs": 10**6},
        lambda prepared, share, seed: (str(share), round(800 * share)),
    )
