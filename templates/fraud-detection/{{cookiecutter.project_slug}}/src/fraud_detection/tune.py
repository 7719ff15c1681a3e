"""Tuning: what may vary, and what a trial is judged by; `paceline.tune` does the rest.

A trial trains on the folds before the test, one after the other, and is judged by the mean average precision of their
later windows. The windows of the features may vary too, for that changes no row and no label. The transactions from the
test's first day on are cut off before anything is computed, and of the folds only those labels count that were known by
then.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from fraud_detection import data, decisions, examples, extras, features, formats, model, train
from fraud_detection.config import Config, Data
from fraud_detection.examples import Examples
from fraud_detection.extras import Encoding
from fraud_detection.splits import Fold, PrequentialSplit
from paceline import budget
from paceline import config as configuration
from paceline.quarantine import Quarantine
from paceline.ranking import Ranking
from paceline.tune.space import Space
from paceline.tune.task import Task
from paceline.tune.trial import Outcome, Own, Trial

# Takeovers, compromised terminals and habits last as long as they last: which windows show them is for data to say.
WINDOWS_DAYS = ([1, 7, 30], [1, 7, 21], [1, 3, 7, 21], [1, 7, 14, 28], [1, 3, 7, 14, 30], [1, 2, 4, 7, 14, 30])
HIDDEN_UNITS = ([64], [128, 64], [256, 128], [256, 128, 64])
KEPT = 3  # sets of features in memory


@dataclass(frozen=True)
class Prepared:
    """What trials share.

    Attributes:
        known: the transactions before the test.
        splits: rows of these to train on and to judge by, the latest fold first.
        encodings: of the further columns, as each fold's training window has them.
    """

    known: pl.DataFrame
    splits: list[Fold]
    encodings: list[Encoding]
    _made: dict[tuple[int, ...], list[tuple[Examples, Examples]]] = field(default_factory=dict)

    def folds(self, config: Data) -> list[tuple[Examples, Examples]]:
        """Return what is trained on and what it is judged by in each fold, with the features of `windows_days`."""
        windows = config.windows_days
        if windows not in self._made:
            while len(self._made) >= KEPT:
                del self._made[next(iter(self._made))]
            plain = features.compute(self.known, config)
            self._made[windows] = [
                examples.divide(self.known, encoding.extend(plain, self.known), fold)
                for encoding, fold in zip(self.encodings, self.splits, strict=True)
            ]
        return self._made[windows]


def space(config: Config) -> Space:
    """Return the ranges that a practitioner would search for the configured model."""
    found: dict[str, BaseDistribution] = {"train.l2": FloatDistribution(0.1, 30.0, log=True)}
    if not config.transfer.from_run and formats.has_parties(config.data.source):
        found["data.windows_days"] = CategoricalDistribution([str(windows) for windows in WINDOWS_DAYS])
    if config.model.name == "logistic_regression":
        return found
    if config.model.name == "mlp":
        return {
            **found,
            "train.mlp_learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
            "train.batch_size": IntDistribution(256, 8192, log=True),
            "model.hidden_units": CategoricalDistribution([str(widths) for widths in HIDDEN_UNITS]),
            "model.dropout": FloatDistribution(0.0, 0.6),
        }
    return {
        **found,
        "train.learning_rate": FloatDistribution(0.03, 0.3, log=True),
        "train.subsample": FloatDistribution(0.5, 1.0),
        "train.colsample_bytree": FloatDistribution(0.4, 1.0),
        "train.l1": FloatDistribution(0.0, 3.0),
        "model.max_depth": IntDistribution(3, 8),
        "model.min_child_weight": FloatDistribution(0.1, 10.0, log=True),  # a leaf of rare frauds weighs little
        "model.max_bin": IntDistribution(256, 2048, log=True),
    }


def prepare(config: Config) -> Prepared:
    """Return what each of `tune.folds` folds before the test trains on and is judged by.

    Raises:
        PacelineError: the data cannot be read, or the history is too short for as many folds.
    """
    table = data.load(config.data, Quarantine())
    split = PrequentialSplit(table, config.data)
    folds = split.folds(config.tune.folds)
    known = table.filter(pl.col("datetime") < split.test_start)  # the first rows: a fold's row numbers still hold
    found = Prepared(known, folds, [extras.learn(known, fold.train) for fold in folds])
    found.folds(config.data)  # trial 0 has these, and needs no time for them
    return found


def objective(prepared: Prepared, trial: Trial[Config]) -> Outcome:
    """Train on each fold and return the mean average precision, with the cards a day that would be alerted."""
    config, scores, alerts = trial.config, [], []
    folds = prepared.folds(config.data)
    trial.run.device = model.choose_device(config, rows=len(folds[0][0].y), run=trial.run).state()
    for place, (train_on, judged) in enumerate(folds):
        stage = f"fold-{place}"
        fitted = model.fit(config, train_on, judged, stage=stage, run=trial.run, progress=trial.progress)
        logits = fitted.logits(judged.X)
        scores.append(Ranking(judged.y, logits).average_precision(np.ones(len(logits))))
        if not place:
            trial.offer(own_model(config, fitted, logits, judged, prepared.encodings[0], scores[0]))
        trial.part_ended(scores[-1])
        decision = decisions.decide(config.report, logits, judged)
        alerts.append(cards_alerted_a_day(judged, decision.probabilities(logits) >= decision.threshold))
    mean = statistics.fmean(alerts)
    excess = mean / config.report.alert_budget_per_day - 1
    return Outcome(statistics.fmean(scores), {"alert_budget": excess}, {"cards_alerted_a_day": mean})


def own_model(
    config: Config, fitted: model.Trained, logits: model.Floats, judged: Examples, encoding: Encoding, value: float
) -> Own:
    """Return the model of the latest fold, to be kept as `train` keeps one; it decides by what it was judged by."""

    def save(folder: Path) -> dict[str, Any]:
        saved = {"name": config.model.name, **fitted.state(), **fitted.save(folder)}
        decision = decisions.decide(config.report, logits, judged)
        return saved | {"features": list(judged.names), "extras": encoding.state(), **decision.state()}

    return Own(value, save)


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


def reproduction(config: Config, record: dict[str, Any]) -> Config | None:
    """Return the settings that boost as many rounds as a shortened run did; None where more than that was changed.

    A network's schedule is compressed on the way, and a refit that was cut has fewer rounds than were chosen.
    """
    ended, rounds = str(record["history"].get("stop_reason", "")), record["history"].get("rows", [])
    if config.model.name != "xgboost" or config.transfer.from_run or not ended.startswith(budget.ENDED):
        return None
    if config.train.refit and "refit" in record["budget"]:
        return None
    if any(sentence.startswith(train.NOT_REFITTED) for sentence in record["warnings"]):
        return None
    return configuration.replace(config, {"train.rounds": rounds[-1]["step"]}, source="tune")


TASK: Task[Config, Prepared] = Task(
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
    refuse_early=model.refuse_early,
    keeps_models=True,
    reproduction=reproduction,
)
