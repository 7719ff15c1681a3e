"""What `fit_xgboost.fit` and `fit_keras.fit` cost over the bare libraries, in CPU time, pairs in turn.

Wall-clock pairs on a shared machine differ by more than one per cent, so CPU time is compared, the order alternates,
and the median of the pairs' ratios counts; its interval is the bootstrap's.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from fraud_detection.config import Config
from paceline import fit_keras, fit_xgboost, record
from paceline.progress import Progress
from results import save

PAIRS = 9
ROWS, ROUNDS, EPOCHS = 100_000, 200, 6


def main() -> None:
    """Measure each pair, print it, and keep the ratios."""
    figures = {}
    for name, ours, bare in (
        ("xgboost, against xgboost.train with the same evaluations", boost, lambda: bare_boost(Same())),
        ("xgboost, against xgboost.train without a training curve", boost, lambda: bare_boost()),
        ("keras, against Model.fit", network, bare_network),
    ):
        figures[name] = compare(ours, bare)
        print(name, figures[name])
    save("overhead", {"rows": figures, "pairs": PAIRS})


def compare(ours: Callable[[], None], bare: Callable[[], None]) -> dict[str, float]:
    """Return the median ratio of CPU seconds over the pairs, with a 90 % bootstrap interval of the median."""
    ratios = []
    for pair in range(PAIRS + 1):
        first, second = (ours, bare) if pair % 2 else (bare, ours)
        seconds = {first: cpu_seconds(first), second: cpu_seconds(second)}
        if pair:  # the first pair warms up
            ratios.append(seconds[ours] / seconds[bare])
    draws = np.median(np.random.default_rng(0).choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.quantile(draws, [0.05, 0.95])
    return {"ratio": statistics.median(ratios), "low": float(low), "high": float(high)}


def cpu_seconds(work: Callable[[], None]) -> float:
    """Return the CPU seconds of all threads that `work` takes."""
    before = time.process_time()
    work()
    return time.process_time() - before


def _data() -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 18)).astype(np.float32)
    y = (rng.random(ROWS) < 1 / (1 + np.exp(4 - X[:, 0] - X[:, 1] * X[:, 2]))).astype(np.float32)
    train, validation = xgboost.QuantileDMatrix(X, y, max_bin=256), None
    validation = xgboost.QuantileDMatrix(X[: ROWS // 5], y[: ROWS // 5], max_bin=256, ref=train)
    return X, y, train, validation


X, Y, TRAIN, VALIDATION = _data()
PARAMETERS = {
    "objective": "binary:logistic",
    "eval_metric": "aucpr",
    "device": "cpu",
    "tree_method": "hist",
    "max_bin": 256,
    "subsample": 0.8,
    "nthread": 2,
}


def boost() -> None:
    """Boost through Paceline, with record, progress, checkpoints and the training curve."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        run = record.Run(Path(folder), Config(), record.Clock())
        with Progress({"select": ROUNDS}, unit="round") as progress:
            fit_xgboost.fit(
                PARAMETERS,
                TRAIN,
                VALIDATION,
                rounds=ROUNDS,
                early_stopping_rounds=ROUNDS,
                seed=0,
                checkpoint_seconds=30,
                stage="select",
                run=run,
                progress=progress,
            )


class Same(xgboost.callback.TrainingCallback):  # type: ignore[misc] # XGBoost publishes no types
    """Scores the training rows at the rounds at which Paceline does."""

    def __init__(self) -> None:
        self.scored = 0

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Score when due; never stop."""
        if epoch + 1 >= fit_xgboost.TRAINING_SCORE_SPACING * self.scored or epoch + 1 == ROUNDS:
            self.scored = epoch + 1
            model.eval_set([(TRAIN, "train")], epoch)
        return False


def bare_boost(*callbacks: Any) -> None:
    """Boost through XGBoost alone, watching the validation rows."""
    xgboost.train(
        PARAMETERS,
        TRAIN,
        ROUNDS,
        evals=[(VALIDATION, "validation")],
        early_stopping_rounds=ROUNDS,
        evals_result={},
        verbose_eval=False,
        callbacks=list(callbacks),
    )


def _network() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((X.shape[1],))
    x = inputs
    for _ in range(3):
        x = keras.layers.Dropout(0.1)(keras.layers.Dense(256, activation="relu")(x))
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile(optimizer="adam", loss=keras.losses.BinaryCrossentropy(from_logits=True))
    return model


BATCH = 1000  # divides the rows, so that bare Keras compiles one shape too


def network() -> None:
    """Train through Paceline."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        run = record.Run(Path(folder), Config(), record.Clock())
        batches = fit_keras.Batches(X, Y, batch_size=BATCH, seed=0, run=run)
        watched = fit_keras.Batches(X[: ROWS // 5], Y[: ROWS // 5], batch_size=BATCH, seed=None, run=run)
        with Progress({"select": EPOCHS}, unit="epoch") as progress:
            fit_keras.fit(
                _network(),
                batches,
                watched,
                epochs=EPOCHS,
                early_stopping_epochs=0,
                monitor="loss",
                larger_is_better=False,
                checkpoint_seconds=30,
                stage="select",
                run=run,
                progress=progress,
            )


def bare_network() -> None:
    """Train through Keras alone, on the arrays."""
    validation = (X[: ROWS // 5], Y[: ROWS // 5])
    _network().fit(X, Y, batch_size=BATCH, epochs=EPOCHS, validation_data=validation, verbose=0)


if __name__ == "__main__":
    main()
