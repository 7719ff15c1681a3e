"""The section `[tune]` of a project's configuration, the same in all templates."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from paceline.config import Section


class Tune(Section):
    """How a search for better settings goes; what it may vary stands in tune.py."""

    study: str = Field(
        "study", pattern=r"^[\w.-]{1,60}$", description="its name: below tune/; the same one again goes on with it"
    )
    sampler: Literal["tpe", "random", "grid", "gp", "cmaes", "qmc"] = Field(
        "tpe", description="tpe | random | grid | qmc | gp (wants torch) | cmaes (wants cmaes)"
    )
    pruner: Literal["auto", "none", "median", "halving", "hyperband"] = Field(
        "auto", description="auto (by the trials that fit) | none | median | halving | hyperband"
    )
    trials: int = Field(40, ge=1, description="in all, where no time budget is given")
    workers: int = Field(1, ge=1, description="processes on this machine; they share its cores")
    vary: tuple[str, ...] = Field(
        (), description="keys, with or without values: 'train.l2', 'train.l2=0.1,1'; empty: all of tune.py"
    )
    folds: int = Field(2, ge=1, description="earlier parts of the data that each trial is judged on; never the test")
    objectives: Literal["quality", "quality_and_time"] = Field(
        "quality", description="quality | quality_and_time (a front of both; nothing is pruned then)"
    )
    limits: tuple[str, ...] = Field((), description="what the best must keep, of those that tune.py measures")
    repeats: int = Field(3, ge=0, description="further seeds that compare the best with the default; 0: no comparison")
    tensorboard: bool = Field(
        False, description="write each trial's curves and settings below tune/ (extra tensorboard)"
    )
