"""What several tests start from: a small configuration, and one run trained by it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"  # before any test imports Keras
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the commands settle it: see paceline.threads
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("PACELINE_CACHE", str(Path(tempfile.gettempdir()) / "paceline-tests"))  # not the user's
os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np
import polars as pl
import pytest

from fraud_detection import train
from fraud_detection.config import Config, Data, Report, Train
from fraud_detection.examples import Examples

SMALL = Config(
    data=Data(customers=205, terminals=400, days=60, train_days=20, validation_days=7, test_days=7),
    train=Train(rounds=20, early_stopping_rounds=8, epochs=2, batch_size=512, checkpoint_seconds=0, device="cpu"),
    report=Report(resamples=10, alert_budget_per_day=3),
)


@pytest.fixture(scope="session")
def small() -> Config:
    """The configuration of `run_folder`: seconds to train."""
    return SMALL


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run trained by `small`; tests read it and do not write to it."""
    answer = train.train(SMALL, runs_folder=tmp_path_factory.mktemp("runs"), command="fraud-detection train")
    return Path(answer["run"])


@pytest.fixture
def examples() -> Examples:
    """Four hundred transactions of five days and thirty cards, with twelve frauds or so that features tell of."""
    rng = np.random.default_rng(0)
    rows = 400
    X = rng.lognormal(1.0, 1.0, size=(rows, 6)).astype(np.float32)
    y = (np.log(X[:, 0]) + rng.normal(0, 0.7, rows) > 3.2).astype(np.int8)
    return Examples(
        X=X,
        y=y,
        amounts=rng.lognormal(3.0, 1.0, rows).round(2),
        days=pl.Series(np.datetime64("2026-01-01") + np.sort(rng.integers(0, 5, rows))),
        customers=np.append(np.arange(30), rng.integers(0, 30, rows - 30)),
    )
