"""What a project brings to a search: its space, its objective, and how it trains for good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from paceline.tune.space import Space
from paceline.tune.trial import Outcome, Trial

Config = TypeVar("Config", bound=BaseModel)
Prepared = TypeVar("Prepared")


def refuse_nothing(config: BaseModel) -> None:
    """Let every configuration be searched."""


def no_reproduction(config: BaseModel, record: dict[str, Any]) -> None:
    """Name no settings that train a shortened run again: how it was shortened is no setting."""


@dataclass(frozen=True)
class Task(Generic[Config, Prepared]):
    """A project's side of a search, all of it functions at the top of a module, for worker processes import them.

    Attributes:
        score: the name of the quality, for people: `average_precision`.
        monitor: the name of the score that is watched while training, as rows of a run's history have it.
        larger_is_better: of both.
        space: what a configuration may vary.
        part_steps: the most steps of one training.
        trainings: how many trainings `train` makes, each about as long as one of a trial's.
        prepare: everything that trials share, once for each process; it must leave the test data out.
        objective: trains and judges one trial on what `prepare` returned.
        limits: the names of the limits that the objective measures.
        train: trains settings for good and leaves a run, as the command `train` does.
        refuse_early: refuses what cannot train here, such as a device that is not there, before any data are read.
        keeps_models: whether the objective offers its own model (`Trial.offer`), so that a first trial may use the time
            of the final run: something usable comes of it all the same.
        reproduction: given the settings and the record of a final run that a ceiling shortened, returns those with
            which `train` makes the same model without a ceiling, or None where there are none.
    """

    score: str
    monitor: str
    larger_is_better: bool
    space: Callable[[Config], Space]
    part_steps: Callable[[Config], int]
    trainings: Callable[[Config], int]
    prepare: Callable[[Config], Prepared]
    objective: Callable[[Prepared, Trial[Config]], Outcome]
    limits: tuple[str, ...]
    train: Callable[..., dict[str, Any]]
    refuse_early: Callable[[Config], None] = refuse_nothing
    keeps_models: bool = False
    reproduction: Callable[[Config, dict[str, Any]], Config | None] = no_reproduction
