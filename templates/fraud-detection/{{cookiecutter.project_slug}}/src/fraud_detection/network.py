"""A multilayer perceptron in Keras, which is loaded only where a network is built, trained or read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud_detection.config import Config, Train
from fraud_detection.examples import Examples
from paceline.progress import Progress
from paceline.recipe import Recipe
from paceline.record import Run

Floats = NDArray[np.float64]

PREDICTED_ROWS = 8192  # at a time


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
        """Train with Adam on the log loss; a schedule ends with `epochs`. See `paceline.fit_keras.fit`."""
        from paceline import fit_keras

        settings = config.train
        with run.phase("build"):
            network = build(config, train)
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


def recipe(settings: Train) -> Recipe:
    """Return how a step changes the weights: Adam, without a rise of the rate beside that of `one_cycle`."""
    return Recipe(
        optimizer="adam",
        learning_rate=settings.mlp_learning_rate,
        schedule=settings.mlp_schedule,
        warmup_share=0.0,
        weight_decay=0.0,
        clip_norm=settings.mlp_clip_norm,
    )


def build(config: Config, train: Examples) -> Any:
    """Return the compiled network: logarithm, standardisation by `train`, hidden layers, one logit."""
    import keras

    from paceline import optimizers

    model, settings = config.model, config.train
    inputs = keras.Input((train.X.shape[1],))
    # Amounts and counts spread over orders of magnitude; further columns may be negative.
    scale = keras.layers.Normalization()
    scale.adapt(np.sign(train.X) * np.log1p(np.abs(train.X)))
    x = scale(keras.ops.sign(inputs) * keras.ops.log1p(keras.ops.absolute(inputs)))
    penalty = keras.regularizers.L1L2(l1=settings.l1 / len(train.y), l2=settings.l2 / len(train.y))
    for units in model.hidden_units:
        x = keras.layers.Dense(units, use_bias=not model.batch_normalisation, kernel_regularizer=penalty)(x)
        if model.batch_normalisation:
            x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.Activation("relu")(x)
        x = keras.layers.Dropout(model.dropout, seed=settings.seed)(x)
    logit = keras.layers.Dense(1, dtype="float32")(x)  # float32 also where the rest is bfloat16
    network = keras.Model(inputs, logit)
    network.compile(
        optimizer=optimizers.build(recipe(settings)),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        weighted_metrics=[
            keras.metrics.AUC(curve="PR", from_logits=True, num_thresholds=1000, name="average_precision")
        ],
    )
    return network
