"""The models: boosted trees, the linear floor beside them, a small network; each built, trained, saved and loaded here.

A trained model gives *logits*, so that the calibration and everything after it are the same for all. To bring your
own, write a class like `Linear` and name it wherever the three are told apart here, and in `config.Model.name`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from fraud_detection import shards
from fraud_detection.config import Config
from fraud_detection.examples import Examples
from paceline import atomic, budget, checkpoint, device, external_memory, fit_xgboost, hosts
from paceline.course import Course
from paceline.errors import PacelineError
from paceline.progress import Progress
from paceline.record import Run
from paceline.stretch import Stretch

Floats = NDArray[np.float64]

PREDICTED_ROWS = 8192  # of the network at a time


class Trained(Protocol):
    """A model ready for use."""

    @property
    def steps(self) -> int:
        """The rounds or epochs that its weights took."""

    def logits(self, X: NDArray[np.float32]) -> Floats:
        """Return the log-odds of fraud for each row of `X`."""

    def contributions(self, X: NDArray[np.float32]) -> Floats:
        """Return what each feature added to the log-odds of each row of `X`, in its shape; for reasons, not for sums.

        How it is found depends on the model, and only for the trees and the linear model is it exact.
        """

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the model and return what `load` needs: the file's name and its checksum."""

    def state(self) -> dict[str, Any]:
        """Return the model's size for the run record."""


def refuse_early(config: Config) -> None:
    """Refuse what cannot train here, before any data are read.

    Raises:
        PacelineError: the device asked for cannot be used, or several hosts are to train what trains on one.
    """
    name, asked = config.model.name, config.train.device
    if hosts.place().count > 1 and name != "mlp":
        raise PacelineError(
            f"{hosts.COUNT} is {hosts.place().count}, and model.name is '{name}': each host would train it alone.",
            "Start it on one host; for boosting on a cluster see train --scheduler.",
        )
    if name == "logistic_regression":
        device.cpu_only(asked, "logistic regression")
    elif name == "xgboost" and config.train.external_memory:
        device.cpu_only(asked, "boosting from disk")
    else:
        device.refuse_unusable(asked, boosting=name == "xgboost")


def choose_device(config: Config, *, rows: int, run: Run) -> device.Device:
    """Return the device for `config.model.name`; the import of Keras, where it is needed, counts as import."""
    if config.model.name == "mlp":
        with run.phase("import"):
            from paceline import fit_keras
        return fit_keras.prepare(config.train.device, seed=config.train.seed)
    if config.model.name == "logistic_regression":
        return device.cpu_only(config.train.device, "logistic regression")
    if config.train.external_memory:  # its batches come from the host's memory
        chosen = device.cpu_only(config.train.device, "boosting from disk")
    else:
        chosen = device.for_xgboost(config.train.device, rows=rows)
    return replace(chosen, threads=config.train.threads) if config.train.threads else chosen


def fit(
    config: Config,
    train: Examples,
    validation: Examples | None,
    *,
    steps: int | None = None,
    stage: str,
    run: Run,
    progress: Progress,
) -> Trained:
    """Train the configured model, watching `validation` where there is one.

    Args:
        config: `[model]` and `[train]` are used.
        train: what it learns from.
        validation: what stops it early.
        steps: rounds or epochs, where they are settled; those of `config` at most, by default.
        stage: the name of this training among the run's checkpoints.
        run: the run record; `run.device` is set.
        progress: the progress line.
    """
    if config.model.name == "xgboost":
        return Boosted.fit(config, train, validation, steps or most_steps(config), stage, run, progress)
    if config.model.name == "mlp":
        return Network.fit(config, train, validation, steps or most_steps(config), stage, run, progress)
    course, since = Course("fit", "", larger_is_better=True, patience=0), run.clock.elapsed()
    if run.pace is not None:
        run.pace.begin(stage, course, most=1, steps=1, validation_steps=0, trend=0.0)
    with run.phase("train"):
        fitted = Linear.fit(train, l2=config.train.l2)
    if run.pace is not None:
        run.pace.observe(Stretch("steps", 1, 1, run.clock.elapsed() - since, False))
    return fitted


def load(name: str, folder: Path, saved: dict[str, Any]) -> Trained:
    """Return the model of kind `name` that `save` wrote to `folder`, once its checksum is verified."""
    kinds: dict[str, type[Boosted] | type[Network] | type[Linear]]
    kinds = {"xgboost": Boosted, "mlp": Network, "logistic_regression": Linear}
    # The file's name comes from a record that may be somebody else's: it must not lead out of the run's folder.
    return kinds[name].load(folder / Path(saved["file"]).name, saved["sha256"], saved["steps"])


def stages(config: Config) -> dict[str, int]:
    """Return the trainings of a run with the most rounds or epochs that each can take."""
    most = most_steps(config)
    return {"select": most, "refit": most} if config.train.refit else {"select": most}


def most_steps(config: Config) -> int:
    """Return the rounds or epochs at most; `budget.AUTO` where as many are asked for as fit."""
    asked = {"xgboost": config.train.rounds, "mlp": config.train.epochs, "logistic_regression": 1}[config.model.name]
    return asked if isinstance(asked, int) else budget.AUTO


def unit(config: Config) -> str:
    """Return what a step of training is called."""
    return {"xgboost": "round", "mlp": "epoch", "logistic_regression": "fit"}[config.model.name]


def boosting_parameters(config: Config, computing: device.Device, names: Sequence[str]) -> dict[str, Any]:
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
        parameters = boosting_parameters(config, used, train.names)
        if settings.scheduler and train.on_disk is not None:
            from paceline import fit_dask

            on_cluster = fit_dask.fit(
                parameters,
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
            parameters,
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
            parameters = boosting_parameters(config, device.Device(**run.device), train.names)
            return Boosted(fit_xgboost.refresh(parameters, self.booster, rows), self.steps)

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


@dataclass(frozen=True)
class Linear:
    """Logistic regression on standardised features: the floor that anything else has to beat."""

    mean: Floats
    scale: Floats
    weights: Floats
    intercept: float
    steps: int = 1

    @classmethod
    def fit(cls, train: Examples, *, l2: float) -> Linear:
        """Fit by L-BFGS with the penalty `l2 / rows`; a moment's work on one core."""
        scaler = StandardScaler().fit(train.X)
        found = LogisticRegression(C=1.0 / l2 if l2 > 0 else np.inf, max_iter=1000).fit(
            scaler.transform(train.X), train.y
        )
        return cls(scaler.mean_, scaler.scale_, found.coef_[0], float(found.intercept_[0]))

    def logits(self, X: NDArray[np.float32]) -> Floats:
        """Return the weighted sum for each row."""
        result: Floats = ((X - self.mean) / self.scale) @ self.weights + self.intercept
        return result

    def contributions(self, X: NDArray[np.float32]) -> Floats:
        """Return weight times standardised deviation from the training mean."""
        result: Floats = (X - self.mean) / self.scale * self.weights
        return result

    def save(self, folder: Path) -> dict[str, Any]:
        """Write `model.json`: means, scales, weights, intercept."""
        path = folder / "model.json"
        atomic.write_json(
            path, {"mean": self.mean, "scale": self.scale, "weights": self.weights, "intercept": self.intercept}
        )
        return {"file": path.name, "sha256": atomic.sha256(path.read_bytes()), "steps": 1}

    @classmethod
    def load(cls, path: Path, sha256: str, steps: int) -> Linear:
        """Read `model.json`."""
        try:
            found = json.loads(checkpoint.read_verified(path, sha256))
        except OSError as error:
            raise PacelineError(f"'{path}' cannot be read: {error.strerror}.", "Name a run that finished.") from None
        mean, scale, weights = (np.asarray(found[name], dtype=np.float64) for name in ("mean", "scale", "weights"))
        return cls(mean, scale, weights, float(found["intercept"]), steps)

    def state(self) -> dict[str, Any]:
        """Return the number of parameters."""
        return {"parameters": len(self.weights) + 1}


@dataclass(frozen=True)
class Network:
    """A multilayer perceptron in Keras, on standardised features."""

    network: Any  # keras.Model; Keras is imported only where it is used
    steps: int

    @classmethod
    def fit(
        cls,
        config: Config,
        train: Examples,
        validation: Examples | None,
        epochs: int,
        stage: str,
        run: Run,
        progress: Progress,
    ) -> Network:
        """Train with Adam on the log loss; see `paceline.fit_keras.fit`."""
        from paceline import fit_keras

        settings = config.train
        with run.phase("build"):
            network = build_network(config, train)
            batches = fit_keras.Batches(train.X, train.y, batch_size=settings.batch_size, seed=settings.seed, run=run)
            watched = None
            if validation is not None:
                watched = fit_keras.Batches(
                    validation.X, validation.y, batch_size=settings.batch_size * 4, seed=None, run=run
                )
        fitted = fit_keras.fit(
            network,
            batches,
            watched,
            epochs=epochs,
            early_stopping_epochs=settings.early_stopping_epochs,
            monitor="average_precision",
            larger_is_better=True,
            checkpoint_seconds=settings.checkpoint_seconds,
            stage=stage,
            run=run,
            progress=progress,
        )
        return cls(network, fitted.epochs)

    def logits(self, X: NDArray[np.float32]) -> Floats:
        """Return the network's output before the sigmoid."""
        if not len(X):
            return np.zeros(0)  # Keras would warn that it ran out of data
        # Whole batches, the last one filled up: another shape would be compiled for it.
        padded = np.concatenate([X, np.repeat(X[-1:], -len(X) % PREDICTED_ROWS, axis=0)])
        result: Floats = self.network.predict(padded, batch_size=PREDICTED_ROWS, verbose=0)[: len(X), 0]
        return result.astype(np.float64)

    def contributions(self, X: NDArray[np.float32]) -> Floats:
        """Return by how much the logit falls as one feature takes its training mean (of its logarithm), others kept.

        A substitute for Shapley values: what features do together is counted for each of them, or for none.
        """
        scale = next(layer for layer in self.network.layers if type(layer).__name__ == "Normalization")
        usual = np.expm1(np.asarray(scale.mean, dtype=np.float32).reshape(-1))
        logits = self.logits(X)
        found = np.empty(X.shape)
        for place, value in enumerate(usual):
            changed = X.copy()
            changed[:, place] = value
            found[:, place] = logits - self.logits(changed)
        return found

    def save(self, folder: Path) -> dict[str, Any]:
        """Write `model.keras`."""
        from paceline import fit_keras

        return {**fit_keras.save_model(self.network, folder / "model.keras"), "steps": self.steps}

    @classmethod
    def load(cls, path: Path, sha256: str, steps: int) -> Network:
        """Read `model.keras`."""
        from paceline import fit_keras

        return cls(fit_keras.load_model(path, sha256), steps)

    def state(self) -> dict[str, Any]:
        """Return the number of parameters."""
        return {"parameters": int(self.network.count_params())}


def build_network(config: Config, train: Examples) -> Any:
    """Return the compiled network: logarithm, standardisation by `train`, dense layers with dropout, one logit."""
    import keras

    model, settings = config.model, config.train
    inputs = keras.Input((train.X.shape[1],))
    # Amounts and counts spread over orders of magnitude; further columns may be negative.
    scale = keras.layers.Normalization()
    scale.adapt(np.sign(train.X) * np.log1p(np.abs(train.X)))
    x = scale(keras.ops.sign(inputs) * keras.ops.log1p(keras.ops.absolute(inputs)))
    penalty = keras.regularizers.L1L2(l1=settings.l1 / len(train.y), l2=settings.l2 / len(train.y))
    for units in model.hidden_units:
        x = keras.layers.Dense(units, use_bias=False, kernel_regularizer=penalty)(x)
        x = keras.layers.Activation("relu")(keras.layers.BatchNormalization(momentum=0.9)(x))
        x = keras.layers.Dropout(model.dropout, seed=settings.seed)(x)
    logit = keras.layers.Dense(1, dtype="float32")(x)  # float32 also where the rest is bfloat16
    network = keras.Model(inputs, logit)
    network.compile(
        optimizer=keras.optimizers.Adam(settings.mlp_learning_rate),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        weighted_metrics=[
            keras.metrics.AUC(curve="PR", from_logits=True, num_thresholds=1000, name="average_precision")
        ],
    )
    return network
