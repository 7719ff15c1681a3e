"""How long `train` will take: its trainings, and what follows them, for the library's model of time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fraud_detection import metrics, retrain, shards
from fraud_detection.config import Config
from fraud_detection.examples import Examples
from fraud_detection.linear import Linear
from paceline import budget, warm
from paceline.budget import Ceiling
from paceline.errors import PacelineError
from paceline.pace import Pace, Training
from paceline.record import Run
from paceline.terms import After, Measured

FIXED_ERROR = 0.3  # of the logarithm of the rows' ratio: part of a round does not grow with them
RESAMPLES = 6  # of the bootstrap, timed to know what all of them take
# What follows beside the bootstrap and the second logistic regression: decisions, slices, figures, stability, the
# report. Seconds for 31,000 test transactions, and of a network its first prediction, which compiles; measured on
# two cores of an Intel Xeon, 2026.
REST_SECONDS = {"xgboost": 1.0, "logistic_regression": 0.9, "mlp": 2.4}
REST_ROWS = 31_000


def refuse_early(config: Config, ceiling: Ceiling | None) -> None:
    """Refuse a ceiling where nothing would keep to it, before any data are read.

    Raises:
        PacelineError: the workers of a cluster are to boost, whose rounds are not timed here.
    """
    if ceiling is not None and config.train.scheduler:
        raise PacelineError(
            f"{ceiling.asked} was given to a Dask cluster, which boosts all rounds that it is asked for.",
            "Leave it out and set train.rounds, or train here, without --scheduler.",
        )


def follow(
    config: Config,
    run: Run,
    *,
    select_on: Examples,
    decide_on: Examples,
    train_on: Examples,
    test_on: Examples,
    floor: Linear,
    ceiling: Ceiling | None,
    target: float | None,
    history: Path | None,
    made: Callable[[dict[str, Any]], None],
) -> Pace:
    """Return what follows the run's trainings from here on; `floor` was fitted on `select_on` a moment ago."""
    for key, name in (("rounds", "xgboost"), ("epochs", "mlp")):
        if name == config.model.name:
            budget.most(getattr(config.train, key), f"train.{key}", ceiling)
    ways = retrain.stages(config)
    size = train_on.rows / select_on.rows
    before = next(way for way in reversed(ways) if way != "refit")
    error = float(np.hypot(0.02, FIXED_ERROR * abs(np.log(size))))
    trainings = [
        Training(name, most)
        if name != "refit"
        else Training(name, most, watched=False, size=size, size_error=error, follows=before)
        for name, most in ways.items()
    ]
    with run.phase("estimate"):
        after = _after(config, run, decide_on, test_on, floor)
    if ceiling is not None:
        run.budget = {"seconds": ceiling.seconds, "asked": ceiling.asked, "changed": False}
    return Pace(
        run,
        trainings,
        after=After(after),
        ceiling=ceiling,
        checkpoint_seconds=config.train.checkpoint_seconds,
        data=warm.of(_read_in_each_pass(run, train_on), resident=train_on.on_disk is None),
        history=history,
        target=target,
        made=made,
    )


def growth(config: Config) -> Callable[[float], tuple[float, float]] | None:
    """Return how a boosting round grows with the rows, by short probes on shares of them; None where that is not asked.

    A network's epoch grows with its steps, which are counted; rows on disk have no shares that are as they are.
    """
    if config.model.name != "xgboost" or config.train.external_memory:
        return None
    from fraud_detection import levers  # which knows how to train
    from paceline.levers import row_growth

    found = row_growth.measure(levers.TASK, config)
    return None if found is None else found.times


def _read_in_each_pass(run: Run, train_on: Examples) -> int:
    """Return the bytes of features that a round goes through, on disk or in memory."""
    if train_on.on_disk is None:
        return int(train_on.X.nbytes)
    return sum(path.stat().st_size for path in shards.folder(run).rglob("*") if path.is_file())


def _after(config: Config, run: Run, decide_on: Examples, test_on: Examples, floor: Linear) -> Measured:
    """Return what scoring and the report will take: the bootstrap by a few resamples, the rest by its usual time."""
    probabilities = 1 / (1 + np.exp(-floor.logits(decide_on.X)))
    took = []
    for resamples in (0, RESAMPLES):
        settings = config.report.model_copy(update={"resamples": resamples})
        since = run.clock.elapsed()
        metrics.score(decide_on, probabilities, 0.5, settings, seed=0)
        took.append(run.clock.elapsed() - since)
    each = max(0.0, took[1] - took[0]) / RESAMPLES
    size = len(test_on.y) / max(1, len(decide_on.y))
    scores = 2 * size * (took[0] + config.report.resamples * each)  # of the model and of its floor
    rest = REST_SECONDS[config.model.name] * (0.5 + 0.5 * len(test_on.y) / REST_ROWS)
    again = run.clock.spans()["score/floor"]  # the floor is fitted a second time, on rows as many
    return Measured(scores + rest + again, 0.25)
