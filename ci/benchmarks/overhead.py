"""What `fit_xgboost.fit` and `fit_keras.fit` cost over the bare libraries, measured twice.

*Additions*: stopwatches stand around the engine's own calls inside one fit (growing a tree and scoring the validation
rows; for Keras, `Model.fit` less its callbacks). What is left of the fit's wall time is what we add, and
another process on the machine slows both parts alike. Callbacks of Keras count by the processor time that they take: a
callback that looks at the loss waits for steps that the device has still to do, which is the engine's time. The bare
library is timed by the same stopwatches: its loop has additions too.

*Pairs*: the CPU time of whole fits, ours over bare, many of them in turn with the order alternating. The median of the
ratios counts, and its interval is the bootstrap's.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import xgboost

from fraud_detection.config import Config
from paceline import fit_keras, fit_xgboost, record, writer
from paceline.progress import Progress
from results import ROOT, save

PAIRS, FITS = 15, 9
ROWS, ROUNDS, EPOCHS = 100_000, 600, 8
BATCH, SMALL_BATCH = 1000, 100  # they divide the rows, so that bare Keras compiles one shape too
WIDTHS, SMALL_WIDTHS = (256, 256, 256), (16,)
FEW, MANY_ROUNDS = 4_000, 6_000  # rows, of which a round takes less than a millisecond; a fit of seconds all the same
KEPT = ROOT / "ci" / "results" / "overhead.json"


def main() -> None:
    """Measure each loop, or those that the command line names, print it, and keep the figures."""
    small = {"widths": SMALL_WIDTHS, "batch": SMALL_BATCH}
    few = {"train": FEW_ROWS, "validation": None, "rounds": MANY_ROUNDS}
    loops: dict[str, tuple[Callable[[], object], Callable[[], object], Parts, int]] = {
        "XGBoost, validation watched": (boost, bare_boost, boosting_parts, ROUNDS),
        "XGBoost, nothing watched": (
            partial(boost, validation=None), partial(bare_boost, validation=None), boosting_parts, ROUNDS,
        ),
        "XGBoost, 4,000 rows": (partial(boost, **few), partial(bare_boost, **few), boosting_parts, MANY_ROUNDS),
        "Keras": (network, bare_network, network_parts, EPOCHS * ROWS // BATCH),
        "Keras, a small network": (
            partial(network, **small), partial(bare_network, **small), network_parts, EPOCHS * ROWS // SMALL_BATCH,
        ),
    }  # fmt: skip
    kept = json.loads(KEPT.read_text(encoding="utf-8"))["rows"] if sys.argv[1:] else {}
    for name in sys.argv[1:] or loops:
        ours, bare, parts, steps = loops[name]
        ratio, seconds = compare(ours, bare)
        row = {"ratio": ratio, "additions": additions(ours, parts), "of_bare": additions(bare, parts)}
        kept[name] = {**row, "step_ms": 1e3 * seconds / steps}
        print(name, kept[name], flush=True)
    figures = {name: kept[name] for name in loops if name in kept}
    sizes = {"training_rows": ROWS, "rounds": ROUNDS, "epochs": EPOCHS}
    save("overhead", {"rows": figures, "pairs": PAIRS, "fits": FITS, **sizes})


def compare(ours: Callable[[], object], bare: Callable[[], object]) -> tuple[dict[str, float], float]:
    """Return the median ratio of CPU seconds over the pairs, with a 90 % bootstrap interval; a bare fit's wall time."""
    ratios, walls = [], []
    for pair in range(PAIRS + 1):
        first, second = (ours, bare) if pair % 2 else (bare, ours)
        seconds = {first: cpu_seconds(first), second: cpu_seconds(second)}
        if pair:  # the first pair warms up
            ratios.append(seconds[ours] / seconds[bare])
            walls.append(timed_once(bare) if len(walls) < 3 else walls[0])
    return spread(ratios), min(walls)


def additions(work: Callable[[], object], parts: Parts) -> dict[str, float]:
    """Return the share of a fit's wall time that the engine has no part in: the median of `FITS` fits."""
    shares = []
    for _ in range(FITS):
        with parts() as watches:
            work()
        shares.append(1 - (sum(watches.engine) - sum(watches.inside) - sum(watches.beside)) / sum(watches.whole))
    return spread(shares)


Parts = Callable[[], AbstractContextManager["Watches"]]


@dataclass(frozen=True)
class Watches:
    """Seconds of whole fits, of the engine's work in them, of what is ours inside the engine's calls and beside them.

    What is beside them is the processor time of the thread that writes checkpoints while the engine works.
    """

    whole: list[float] = field(default_factory=list)
    engine: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)


def timed_once(work: Callable[[], object]) -> float:
    """Return the seconds of the clock that `work` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def timed(
    owner: Any,
    name: str,
    seconds: list[float],
    counts: Callable[..., bool] = lambda *_: True,
    read: Callable[[], float] = time.perf_counter,
) -> AbstractContextManager[Any]:
    """Put a stopwatch around `owner.name`, for the calls whose arguments count."""
    original = getattr(owner, name)

    def watched(*arguments: Any, **named: Any) -> Any:
        begun = read()
        try:
            return original(*arguments, **named)
        finally:
            if counts(*arguments):
                seconds.append(read() - begun)

    return mock.patch.object(owner, name, watched)


def spread(values: list[float]) -> dict[str, float]:
    """Return the median with its 90 % bootstrap interval."""
    draws = np.median(np.random.default_rng(0).choice(values, (2000, len(values))), axis=1)
    low, high = np.quantile(draws, [0.05, 0.95])
    return {"median": statistics.median(values), "low": float(low), "high": float(high)}


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of all threads that `work` takes."""
    before = time.process_time()
    work()
    return time.process_time() - before


def _data() -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 18)).astype(np.float32)
    y = (rng.random(ROWS) < 1 / (1 + np.exp(6 - X[:, 0] - X[:, 1] * X[:, 2]))).astype(np.float32)
    train = xgboost.QuantileDMatrix(X, y, max_bin=PARAMETERS["max_bin"])
    fifth = slice(ROWS // 5)
    return X, y, train, xgboost.QuantileDMatrix(X[fifth], y[fifth], max_bin=PARAMETERS["max_bin"], ref=train)


PARAMETERS: dict[str, Any] = {  # the fraud template's
    "objective": "binary:logistic",
    "eval_metric": "aucpr",
    "base_score": 0.5,
    "device": "cpu",
    "tree_method": "hist",
    "max_depth": 4,
    "max_bin": 1024,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "learning_rate": 0.1,
    "nthread": 2,
}
X, Y, TRAIN, VALIDATION = _data()
FEW_ROWS = xgboost.QuantileDMatrix(X[:FEW], Y[:FEW], max_bin=256)


def boost(
    train: xgboost.DMatrix = TRAIN, validation: xgboost.DMatrix | None = VALIDATION, rounds: int = ROUNDS
) -> None:
    """Boost through Paceline, with record, progress, checkpoints and the training curve."""
    with _run() as run, Progress({"select": rounds}, unit="round") as progress:
        fit_xgboost.fit(
            PARAMETERS | {"max_bin": 256} if train is FEW_ROWS else PARAMETERS,
            train,
            validation,
            rounds=rounds,
            early_stopping_rounds=rounds,
            seed=0,
            checkpoint_seconds=30,
            stage="select",
            run=run,
            progress=progress,
        )


def bare_boost(
    train: xgboost.DMatrix = TRAIN, validation: xgboost.DMatrix | None = VALIDATION, rounds: int = ROUNDS
) -> None:
    """Boost through XGBoost alone, without a training curve."""
    xgboost.train(
        PARAMETERS | {"max_bin": 256} if train is FEW_ROWS else PARAMETERS,
        train,
        rounds,
        evals=[] if validation is None else [(validation, "validation")],
        early_stopping_rounds=None if validation is None else rounds,
        evals_result={},
        verbose_eval=False,
    )


@contextmanager
def boosting_parts() -> Iterator[Watches]:
    """Time whole fits, and in them growing trees and scoring the validation rows, however that is done."""
    with contextlib.ExitStack() as stack:
        watches = Watches()
        for owner in (fit_xgboost, xgboost):
            name = "fit" if owner is fit_xgboost else "train"
            stack.enter_context(timed(owner, name, watches.whole))
        for name in ("update", "eval_set"):  # the second is how xgboost.train scores
            stack.enter_context(timed(xgboost.Booster, name, watches.engine))
        of_validation = lambda rows, *_: rows.data is VALIDATION  # noqa: E731
        stack.enter_context(timed(fit_xgboost._Watched, "score", watches.engine, counts=of_validation))
        yield watches


def _network(widths: Sequence[int]) -> Any:
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((X.shape[1],))
    x = inputs
    for width in widths:
        x = keras.layers.Dropout(0.1)(keras.layers.Dense(width, activation="relu")(x))
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile(optimizer="adam", loss=keras.losses.BinaryCrossentropy(from_logits=True))
    return model


def network(widths: Sequence[int] = WIDTHS, batch: int = BATCH) -> None:
    """Train through Paceline."""
    with _run() as run, Progress({"select": EPOCHS}, unit="epoch") as progress:
        batches = fit_keras.Batches(X, Y, batch_size=batch, seed=0, run=run)
        watched = fit_keras.Batches(X[: ROWS // 5], Y[: ROWS // 5], batch_size=batch, seed=None, run=run)
        fit_keras.fit(
            _network(widths),
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


def bare_network(widths: Sequence[int] = WIDTHS, batch: int = BATCH) -> None:
    """Train through Keras alone, on the arrays."""
    validation = (X[: ROWS // 5], Y[: ROWS // 5])
    _network(widths).fit(X, Y, batch_size=batch, epochs=EPOCHS, validation_data=validation, verbose=0)


@contextmanager
def network_parts() -> Iterator[Watches]:
    """Time whole fits, in them `Model.fit`, inside that the callbacks that it was given, beside it the writer."""
    import keras

    watches = Watches()
    plain_fit, plain_close = keras.Model.fit, writer.Writer.close

    def fit(*arguments: Any, callbacks: Sequence[Any] = (), **named: Any) -> Any:
        for callback, name in itertools.product(callbacks, dir(keras.callbacks.Callback)):
            if name.startswith("on_"):
                stack.enter_context(timed(callback, name, watches.inside, read=time.thread_time))
        return plain_fit(*arguments, callbacks=list(callbacks), **named)

    def close(written: writer.Writer) -> str:
        failure = plain_close(written)
        watches.beside.append(written.processor_seconds)
        return failure

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(writer.Writer, "close", close))
        stack.enter_context(mock.patch.object(keras.Model, "fit", fit))
        stack.enter_context(timed(keras.Model, "fit", watches.engine))
        stack.enter_context(timed(fit_keras, "fit", watches.whole))
        yield watches
        if not watches.whole:  # the bare loop: Model.fit is the whole
            watches.whole.extend(watches.engine)


@contextmanager
def _run() -> Iterator[record.Run]:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        yield record.Run(Path(folder), Config(), record.Clock())


if __name__ == "__main__":
    main()
