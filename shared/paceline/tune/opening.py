"""What a study begins with: what its trials are compared by, what they share, and which come first."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from pydantic import BaseModel

from paceline import config as configuration
from paceline.budget import AUTO
from paceline.errors import PacelineError
from paceline.tune import ranking, space, storage
from paceline.tune.settings import Tune
from paceline.tune.task import Task

EARLIER = 5  # settings of an earlier study, the best ones, with which another begins


@dataclass(frozen=True)
class Earlier:
    """What an earlier study gives to another.

    Attributes:
        points: settings, the best first; what the other space does not vary, or not so far, is as it begins.
        outside: values of theirs that lie outside the other's ranges.
    """

    points: list[dict[str, Any]]
    outside: int


def verify(task: Task[Any, Any], config: BaseModel) -> None:
    """Refuse what cannot train here, limits that the project does not measure, and trainings that only time ends.

    Raises:
        PacelineError: there is one.
    """
    task.refuse_early(config)
    settings: Tune = config.tune  # type: ignore[attr-defined] # every project's configuration has it
    for name in settings.limits:
        if name not in task.limits:
            raise PacelineError(
                f"tune.limits names '{name}', which is not measured.", f"It knows {', '.join(task.limits) or 'none'}."
            )
    if task.part_steps(config) >= AUTO:
        raise PacelineError(
            "The length of training is 'auto', so that trials would be as good as their time is long.",
            "Set the most rounds or epochs to a number; a trial that stops early takes fewer.",
        )


def directions(task: Task[Any, Any], settings: Tune) -> list[storage.Direction]:
    """Return which way each objective is to go."""
    quality: storage.Direction = "maximize" if task.larger_is_better else "minimize"
    return [quality] if settings.objectives == "quality" else [quality, "minimize"]


def made_for(config: BaseModel, parameters: space.Space) -> dict[str, Any]:
    """Return what all trials of a study share: their ranges, and every setting that is not varied.

    Of a private text (see `paceline.config.PRIVATE`) it is a digest, enough to notice that it is another.
    """
    fixed: dict[str, Any] = {}
    for section, values in config.model_dump(mode="json").items():
        if section != "tune":
            fixed |= {
                f"{section}.{key}": value for key, value in values.items() if f"{section}.{key}" not in parameters
            }
        else:
            fixed |= {f"{section}.{key}": values[key] for key in ("folds", "objectives", "limits")}
    for key in configuration.private(config):
        fixed[key] = hashlib.sha256(str(fixed[key]).encode()).hexdigest()[:16]
    return {"space": space.described(parameters), "settings": fixed}


def earlier_trials(folder: Path) -> list[FrozenTrial]:
    """Return the finished trials of the study that is kept in `folder`.

    Raises:
        PacelineError: there is none.
    """
    file = folder / storage.FILE
    if not file.is_file():
        raise PacelineError(
            f"There is no study in '{folder}'.", f"Name a folder that holds a {storage.FILE}: tune/study."
        )
    with storage.connected(storage.url_of("", folder)) as backend:
        return ranking.finished(storage.only_study(backend, folder.resolve().name))


def earlier(
    trials: Sequence[FrozenTrial], config: BaseModel, parameters: space.Space, *, larger_is_better: bool
) -> Earlier:
    """Return the best distinct settings of `trials`, five at most, as settings of the space `parameters`."""
    present, points, outside = space.present(parameters, config), list[dict[str, Any]](), 0
    for trial in ranking.ordered(trials, larger_is_better=larger_is_better):
        known = {key: value for key, value in trial.params.items() if key in parameters}
        held = {key: value for key, value in known.items() if space.holds(parameters[key], value)}
        point = {**present, **held}
        if len(points) == EARLIER:
            break
        if point not in [present, *points]:
            points.append(point)
            outside += len(known) - len(held)
    return Earlier(points, outside)


def queue(
    study: optuna.Study,
    config: BaseModel,
    parameters: space.Space,
    settings: Tune,
    following: Sequence[dict[str, Any]] = (),
) -> None:
    """Queue the present settings as trial 0, `following`, then a grid; of a study gone on with, what is missing."""
    first = space.present(parameters, config)
    points = [first, *following, *(space.grid(parameters) if settings.sampler == "grid" else [])]
    trials = study.get_trials(deepcopy=False)
    known = [trial.params or trial.system_attrs.get("fixed_params") for trial in trials]
    for point in points:
        if point not in known:
            study.enqueue_trial(point)
            known.append(point)
