"""What two defaults of boosting rest on: no class weights, and no monotone constraints unless they help.

The three folds before the test week of the Handbook's split, as in `fraud.py`; the test is in none of them. Within a
fold boosting stops at the round that is best on average over folds and seeds, one round for each setting. Calibration
is judged as the log loss, and as the mean score over the share of frauds (1: the scores are right on average).
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

import numpy as np
import xgboost
from sklearn.metrics import log_loss

from fraud import SPLIT, TRANSACTIONS
from fraud_detection import boosted, data, examples, features
from fraud_detection.config import Config
from fraud_detection.examples import Examples
from fraud_detection.splits import PrequentialSplit
from paceline import config
from paceline.quarantine import Quarantine
from results import TEMPLATE, save

SEEDS = range(3)
ROUNDS = 300


def main() -> None:
    """Compare the settings with the default, print a line for each and keep the figures."""
    if not TRANSACTIONS.exists():
        sys.exit(f"There is no '{TRANSACTIONS}'. Set PACELINE_SAMPLE_DATA to the folder that holds fraud/.")
    settings = config.load(Config, TEMPLATE / "config.toml", [f"{key}={value}" for key, value in SPLIT.items()])
    table = data.load(settings.data, Quarantine())
    X = features.compute(table, settings.data)
    folds = [examples.divide(table, X, fold) for fold in PrequentialSplit(table, settings.data).folds(3)]
    rising = boosted.monotone_constraints(X.columns)
    rows = {
        "neither": measure(folds, lambda train_on: {}),
        "scale_pos_weight = honest / frauds": measure(
            folds, lambda train_on: {"scale_pos_weight": float((train_on.y == 0).sum() / (train_on.y == 1).sum())}
        ),
        "monotone risk": measure(folds, lambda train_on: {"monotone_constraints": rising}),
    }
    for name, row in rows.items():
        row["difference"] = [ours - base for ours, base in zip(row["each"], rows["neither"]["each"], strict=True)]
        print(name, {key: value for key, value in row.items() if key != "each"})
    save("choices", {"rows": rows, "folds": 3, "seeds": len(SEEDS)})


def measure(folds: list[tuple[Examples, Examples]], setting: Any) -> dict[str, Any]:
    """Return average precision and calibration of boosting with `setting`, over folds and seeds."""
    curves, boosters = [], []
    for train_on, test_on in folds:
        rows = xgboost.QuantileDMatrix(train_on.X, train_on.y, max_bin=1024)
        judged = xgboost.QuantileDMatrix(test_on.X, test_on.y, max_bin=1024, ref=rows)
        for seed in SEEDS:
            watched: dict[str, Any] = {}
            parameters = {
                "objective": "binary:logistic",
                "eval_metric": "aucpr",
                "base_score": 0.5,
                "max_bin": 1024,
                "max_depth": 4,
                "learning_rate": 0.05,
                "subsample": 0.8,
                "colsample_bytree": 0.8,
                "nthread": 2,
                "seed": seed,
                **setting(train_on),
            }
            boosters.append(
                xgboost.train(
                    parameters, rows, ROUNDS, evals=[(judged, "test")], evals_result=watched, verbose_eval=False
                )
            )
            curves.append(watched["test"]["aucpr"])
    best = int(np.mean(curves, axis=0).argmax())
    each = [float(curve[best]) for curve in curves]
    losses, ratios = [], []
    for place, booster in enumerate(boosters):
        test_on = folds[place // len(SEEDS)][1]
        scores = booster.inplace_predict(test_on.X, iteration_range=(0, best + 1)).astype(np.float64)
        losses.append(float(log_loss(test_on.y, scores)))
        ratios.append(float(scores.mean() / test_on.y.mean()))
    return {
        "rounds": best + 1,
        "average_precision": statistics.fmean(each),
        "log_loss": statistics.fmean(losses),
        "mean_score_over_prevalence": statistics.fmean(ratios),
        "each": each,
    }


if __name__ == "__main__":
    main()
