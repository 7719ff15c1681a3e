"""Tuning: what may vary, and what a trial is judged by; `paceline.tune` does the rest.

A trial trains on the folds before the test, one after the other, and is judged by the mean average precision of their
later windows. The transactions from the test's first day on are cut off before anything is computed, and of the folds
only those labels count that were known by then.
"""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import polars as pl
from optuna.distributions import FloatDistribution, IntDistribution

from fraud_detection import data, decisions, examples, extras, features, model, train
from fraud_detection.config import Config
from fraud_detection.examples import Examples
from fraud_detection.splits import PrequentialSplit
from paceline.quarantine import Quarantine
from paceline.ranking import Ranking
from paceline.tune.space import Space
from paceline.tune.task import Task
from paceline.tune.trial import Outcome, Trial

Fold = tuple[Examples, Examples]  # what is trained on, and what it is judged by


def space(config: Config) -> Space:
    """Return the ranges that a practitioner would search for the configured model."""
    penalties = {"train.l2": FloatDistribution(0.1, 30.0, log=True)}
    if config.model.name == "logistic_regression":
        return penalties
    if config.model.name == "mlp":
        return {
            **penalties,
            "train.mlp_learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
            "train.batch_size": IntDistribution(256, 8192, log=True),
            "model.dropout": FloatDistribution(0.0, 0.6),
        }
    return {
        **penalties,
        "train.learning_rate": FloatDistribution(0.03, 0.3, log=True),
        "train.subsample": FloatDistribution(0.5, 1.0),
        "train.colsample_bytree": FloatDistribution(0.4, 1.0),
        "train.l1": FloatDistribution(0.0, 3.0),
        "model.max_depth": IntDistribution(3, 8),
        "model.min_child_weight": FloatDistribution(0.1, 10.0, log=True),  # a leaf of rare frauds weighs little
        "model.max_bin": IntDistribution(256, 2048, log=True),
    }


def prepare(config: Config) -> list[Fold]:
    """Return what each of `tune.folds` folds before the test trains on and is judged by, the latest fold first.

    Raises:
        PacelineError: the data cannot be read, or the history is too short for as many folds.
    """
    table = data.load(config.data, Quarantine())
    split = PrequentialSplit(table, config.data)
    folds = split.folds(config.tune.folds)
    known = table.filter(pl.col("datetime") < split.test_start)  # the first rows: a fold's row numbers still hold
    plain = features.compute(known, config.data)
    return [examples.divide(known, extras.learn(known, fold.train).extend(plain, known), fold) for fold in folds]


def objective(folds: list[Fold], trial: Trial[Config]) -> Outcome:
    """Train on each fold and return the mean average precision, with the cards a day that would be alerted."""
    config, scores, alerts = trial.config, [], []
    trial.run.device = model.choose_device(config, rows=len(folds[0][0].y), run=trial.run).state()
    for place, (train_on, judged) in enumerate(folds):
        stage = f"fold-{place}"
        fitted = model.fit(config, train_on, judged, stage=stage, run=trial.run, progress=trial.progress)
        logits = fitted.logits(judged.X)
        scores.append(Ranking(judged.y, logits).average_precision(np.ones(len(logits))))
        trial.part_ended(scores[-1])
        decision = decisions.decide(config.report, logits, judged)
        alerts.append(cards_alerted_a_day(judged, decision.probabilities(logits) >= decision.threshold))
    mean = statistics.fmean(alerts)
    excess = mean / config.report.alert_budget_per_day - 1
    return Outcome(statistics.fmean(scores), limits={"alert_budget": excess}, notes={"cards_alerted_a_day": mean})


def cards_alerted_a_day(judged: Examples, alert: Any) -> float:
    """Return how many cards a team would have to call a day, a card once a day."""
    cards = pl.DataFrame({"day": judged.days, "card": judged.customers}).filter(pl.Series(alert)).unique()
    return cards.height / judged.days.n_unique()


def part_steps(config: Config) -> int:
    """Return the most rounds or epochs of one training."""
    return model.stages(config)["select"]


def trainings(config: Config) -> int:
    """Return how many trainings `train` makes."""
    return len(model.stages(config))


TASK: Task[Config, list[Fold]] = Task(
    score="average_precision",
    monitor="validation_average_precision",
    larger_is_better=True,
    space=space,
    part_steps=part_steps,
    trainings=trainings,
    prepare=prepare,
    objective=objective,
    limits=("alert_budget",),
    train=train.train,
)
