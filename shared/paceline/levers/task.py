"""What a project brings to `levers`: its time-savers, and how it trains on data before the test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from paceline.progress import Progress
from paceline.record import Run

Config = TypeVar("Config", bound=BaseModel)
Prepared = TypeVar("Prepared")


@dataclass(frozen=True)
class Lever:
    """One time-saver.

    Attributes:
        name: as its card in METHODS.md is called.
        kind: `throughput` changes how long a pass over the data takes, `convergence` how many it takes.
        settings: what it sets, by `section.key`.
        risk: what it may cost in quality, in words; empty where the arithmetic stays the same.
        without: what is set on the side that goes without it; nothing: that is the configuration as it stands. For a
            time-saver that is in use by default, what switches it off.
    """

    name: str
    kind: Literal["throughput", "convergence"]
    settings: Mapping[str, Any]
    risk: str = ""
    without: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task(Generic[Config, Prepared]):
    """A project's side of `levers`.

    Attributes:
        monitor: the name of the score that is watched, as rows of a run's history have it.
        larger_is_better: of that score.
        levers: those that suit a configuration and this machine.
        prepare: what trainings share; it must leave the test data out.
        train: trains once, as the first training of a run does, watched by validation; it sets `run.device`.
        lasting: settings, by `section.key`, under which a training goes on for as long as it is probed, and begins with
            what takes its time.
        fewer: a share of what there is to learn from, by seed where it is drawn, and how many examples that is; what
            validation is made of stays.
        of_network: whether what a configuration trains is a Keras model, so that its step can be looked at.
        refuse_early: refuses what cannot train here, such as a device that is not there, before any data are read.
    """

    monitor: str
    larger_is_better: bool
    levers: Callable[[Config], Sequence[Lever]]
    prepare: Callable[[Config], Prepared]
    train: Callable[[Prepared, Config, Run, Progress], None]
    lasting: Callable[[Config], Mapping[str, Any]]
    fewer: Callable[[Prepared, float, int], tuple[Prepared, int]]
    of_network: Callable[[Config], bool] = lambda config: False
    refuse_early: Callable[[Config], None] = lambda config: None
