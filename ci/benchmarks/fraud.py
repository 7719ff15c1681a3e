"""The fraud template on the Handbook's published one-week split, five seeds a model, beside the published recipe.

The recipe (XGBoost, exact splits, 100 trees of depth 6 on the published features) runs here as well, on the same rows.
Nothing was chosen by the test week: the defaults come from the folds before it.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np
import polars as pl
import xgboost

from fraud_detection import data, examples, features, metrics
from fraud_detection.config import Config
from fraud_detection.splits import PrequentialSplit
from paceline import config
from paceline.quarantine import Quarantine
from paceline.ranking import Ranking
from results import SAMPLE_DATA, TEMPLATE, save

TRANSACTIONS = SAMPLE_DATA / "fraud" / "handbook_transactions_2018-06-10_2018-08-14.parquet"
MODELS = ("xgboost", "mlp", "logistic_regression")
SEEDS = range(5)
PUBLISHED = pl.exclude(
    "^amount_(ratio|to_max)_.*$"
)  # the template's features less those that the Handbook does not have
METRICS = ("average_precision", "auc_roc", "card_precision_at_100")
SPLIT = {
    "data.source": "handbook",
    "data.path": str(TRANSACTIONS),
    "data.test_start": "2018-08-08",
    "data.train_days": 7,
    "data.test_days": 7,
    "data.validation_days": 7,
    "report.alert_budget_per_day": 100,  # k of the published card precision
}


def main() -> None:
    """Run every model with every seed, print a line for each, and keep mean and spread."""
    if not TRANSACTIONS.exists():
        sys.exit(f"There is no '{TRANSACTIONS}'. Set PACELINE_SAMPLE_DATA to the folder that holds fraud/.")
    chosen = selection()
    for row in chosen:
        print(row)
    rows = {"published recipe": recipe()}
    print("published recipe", rows["published recipe"])
    for model in MODELS:
        seeds = SEEDS if model != "logistic_regression" else range(1)  # it has no random choice
        runs = [train(model, seed) for seed in seeds]
        rows[model] = {name: spread([run[name] for run in runs]) for name in (*METRICS, "wall_seconds")}
        rows[model]["runs"] = len(runs)
        print(model, rows[model])
    test = "2018-08-08 to 2018-08-14, 58,264 transactions with 385 frauds"
    save("fraud", {"rows": rows, "test": test, "selection": chosen})


def train(model: str, seed: int) -> dict[str, float]:
    """Return the test scores and the wall time of one run, as a user would start it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {**SPLIT, "model.name": model, "train.seed": seed, "report.resamples": 0}
        options = [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]
        command = [sys.executable, "-m", "fraud_detection", "train", "--json", "--runs", folder, *options]
        done = subprocess.run(command, cwd=TEMPLATE, check=True, capture_output=True, text=True)  # noqa: S603 -- this project's own command
        answer = json.loads(done.stdout.splitlines()[-1])
    return {**{name: answer["scores"][name]["value"] for name in METRICS}, "wall_seconds": answer["wall_seconds"]}


def selection() -> list[dict[str, Any]]:
    """Return the average precision of a few settings on the three folds before the test, the best mean first.

    The test week is in none of these folds. Both sets of features get the same settings and the same rounds: boosting
    stops where the mean over the folds is best.
    """
    settings = config.load(Config, TEMPLATE / "config.toml", [f"{key}={value}" for key, value in SPLIT.items()])
    table = data.load(settings.data, Quarantine())
    X = features.compute(table, settings.data)
    found = []
    for name, columns in (("template", X), ("published", X.select(PUBLISHED))):
        folds = [examples.divide(table, columns, fold) for fold in PrequentialSplit(table, settings.data).folds(3)]
        for depth, rate in itertools.product((3, 4, 6), (0.05, 0.1)):
            curves = [_curve(*fold, max_depth=depth, learning_rate=rate) for fold in folds]
            best = int(np.mean(curves, axis=0).argmax())
            scores = [curve[best] for curve in curves]
            row = {"features": name, "max_depth": depth, "learning_rate": rate, "rounds": best + 1, "folds": scores}
            found.append(row | {"average_precision": statistics.fmean(scores)})
    return sorted(found, key=lambda row: -row["average_precision"])


def _curve(
    train_on: examples.Examples, test_on: examples.Examples, *, max_depth: int, learning_rate: float
) -> list[float]:
    """Return the average precision on a fold after each of 300 rounds."""
    parameters = {
        "objective": "binary:logistic",
        "eval_metric": "aucpr",
        "base_score": 0.5,
        "max_bin": 1024,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "max_depth": max_depth,
        "learning_rate": learning_rate,
    }
    rows, judged = xgboost.DMatrix(train_on.X, train_on.y), xgboost.DMatrix(test_on.X, test_on.y)
    watched: dict[str, Any] = {}
    xgboost.train(parameters, rows, 300, evals=[(judged, "test")], evals_result=watched, verbose_eval=False)
    curve: list[float] = watched["test"]["aucpr"]
    return curve


def recipe() -> dict[str, Any]:
    """Return the scores of the published recipe on the same rows."""
    begun = time.perf_counter()
    texts = [f"{key}={value}" for key, value in SPLIT.items()]
    settings = config.load(Config, TEMPLATE / "config.toml", texts)
    table = data.load(settings.data, Quarantine())
    published = features.compute(table, settings.data).select(PUBLISHED)
    train_on, test_on = examples.divide(table, published, PrequentialSplit(table, settings.data).final())
    parameters = {"objective": "binary:logistic", "tree_method": "exact", "base_score": 0.5, "nthread": 2}
    booster = xgboost.train(parameters, xgboost.DMatrix(train_on.X, train_on.y), 100)
    scores = booster.predict(xgboost.DMatrix(test_on.X)).astype(np.float64)
    ranking, ones = Ranking(test_on.y, scores), np.ones(len(scores))
    cards = metrics.CardRanking(test_on.days, test_on.customers, test_on.y, scores)
    values = (ranking.average_precision(ones), ranking.auc_roc(ones), cards.precision_at_k(100))
    found: dict[str, Any] = {name: spread([value]) for name, value in zip(METRICS, values, strict=True)}
    return {**found, "wall_seconds": spread([time.perf_counter() - begun]), "runs": 1}


def spread(values: list[float]) -> dict[str, float]:
    """Return the mean and the standard deviation over runs."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "deviation": deviation}


if __name__ == "__main__":
    main()
