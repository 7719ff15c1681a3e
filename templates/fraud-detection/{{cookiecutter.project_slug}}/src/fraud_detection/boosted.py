"""Gradient-boosted trees: XGBoost's, in memory, from disk or on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from fraud_detection import shards
from fraud_detection.config import Config
from fraud_detection.examples import Examples
from paceline import device, external_memory, fit_xgboost
from paceline.progress import Progress
from paceline.record import Run

Floats = NDArray[np.float64]


def parameters(config: Config, computing: device.Device, names: Sequence[str]) -> dict[str, Any]:
    """Return XGBoost's parameters for features of these names.

    `scale_pos_weight` stays at 1: weights ruined calibration and lost precision.
    """
    model, settings = config.model, config.train
    return {
        "objective": "binary:logistic",
        "eval_metric": "aucpr",
        "base_score": 0.5,  # XGBoost 3 estimates it from the labels, and rare frauds lose by that
        "booster": model.booster,
        "max_depth": model.max_depth,
        "min_child_weight": model.min_child_weight,
        "max_bin": model.max_bin,
        "learning_rate": settings.learning_rate,
        "subsample": settings.subsample,
        "colsample_bytree": settings.colsample_bytree,
        "alpha": settings.l1,
        "lambda": settings.l2,
        **({"monotone_constraints": monotone_constraints(names)} if model.monotone else {}),
        **({"rate_drop": model.dropout} if model.booster == "dart" else {}),
        **fit_xgboost.engine_parameters(computing),
    }


def monotone_constraints(names: Sequence[str]) -> str:
    """Return XGBoost's constraints for features of these names: risks may only raise the score, the others are free.

    >>> monotone_constraints(["amount", "terminal_count_7d", "terminal_risk_7d"])
    '(0,0,1)'
    """
    return f"({','.join(str(int(name.startswith('terminal_risk_'))) for name in names)})"


@dataclass(frozen=True)
class Boosted:
    """Gradient-boosted trees."""

    booster: xgboost.Booster
    steps: int

    @classmethod
    def fit(
        cls,
        config: Config,
        train: Examples,
        validation: Examples | None,
        rounds: int,
        stage: str,
        run: Run,
        progress: Progress,
        start: Boosted | None = None,
    ) -> Boosted:
        """Boost on histograms, from nothing or from `start` on; see `paceline.fit_xgboost.fit`."""
        bins, settings = config.model.max_bin, config.train
        used = device.Device(**run.device)
        engine = parameters(config, used, train.names)
        if settings.scheduler and train.on_disk is not None:
            from paceline import fit_dask

            on_cluster = fit_dask.fit(
                engine,
                train.on_disk,
                None if validation is None else (validation.X, validation.y),
                scheduler=settings.scheduler,
                rounds=rounds,
                early_stopping_rounds=settings.early_stopping_rounds,
                seed=settings.seed,
                stage=stage,
                run=run,
                progress=progress,
            )
            return cls(on_cluster.booster, on_cluster.rounds)
        with run.phase("build"):
            if train.on_disk is None:
                rows = fit_xgboost.matrix(train.X, train.y, used, max_bin=bins)
            else:
                rows = external_memory.matrix(train.on_disk, max_bin=bins, cache=shards.folder(run) / f"bins-{stage}")
            watched = None
            if validation is not None:
                watched = fit_xgboost.matrix(validation.X, validation.y, used, max_bin=bins, ref=rows)
        fitted = fit_xgboost.fit(
            engine,
            rows,
            watched,
            rounds=rounds,
            early_stopping_rounds=settings.early_stopping_rounds,
            seed=settings.seed,
            checkpoint_seconds=settings.checkpoint_seconds,
            stage=stage,
            run=run,
            progress=progress,
            start=None if start is None else start.booster,
        )
        return cls(fitted.booster, fitted.rounds)

    def refresh(self, config: Config, train: Examples, run: Run) -> Boosted:
        """Return the same trees with leaves learned from `train`; see `paceline.fit_xgboost.refresh`."""
        with run.phase("build"):
            rows = xgboost.DMatrix(train.X, train.y)
        with run.phase("train"):
            engine = parameters(config, device.Device(**run.device), train.names)
            return Boosted(fit_xgboost.refresh(engine, self.booster, rows), self.steps)

    def logits(self, X: NDArray[np.float32]) -> Floats:
        """Return the sum of the trees' leaves for each row."""
        margins: Floats = self.booster.inplace_predict(X, predict_type="margin").astype(np.float64)
        return margins

    def contributions(self, X: NDArray[np.float32]) -> Floats:
        """Return the Shapley values of the trees (Lundberg et al. 2020), which with the bias sum to the logits."""
        rows = xgboost.DMatrix(X)
        found: Floats = self.booster.predict(rows, pred_contribs=True)[:, :-1].astype(np.float64)
        return found

    def save(self, folder: Path) -> dict[str, Any]:
        """Write `model.ubj`."""
        return {**fit_xgboost.save_model(self.booster, folder / "model.ubj"), "steps": self.steps}

    @classmethod
    def load(cls, path: Path, sha256: str, steps: int) -> Boosted:
        """Read `model.ubj`."""
        return cls(fit_xgboost.load_model(path, sha256), steps)

    def state(self) -> dict[str, Any]:
        """Return the number of trees and of their leaves."""
        trees = self.booster.get_dump()
        return {"trees": len(trees), "leaves": sum(tree.count("leaf=") for tree in trees)}
