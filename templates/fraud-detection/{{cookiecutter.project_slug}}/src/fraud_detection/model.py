"""The model of a run: which it is, what it may train on, and how long; `boosted`, `linear` and `network` are the kinds.

A trained model gives *logits*, so that the calibration and everything after it are the same for all. To bring your
own, write a module like `linear` and name its class wherever the three are told apart here, and in `config.Model.name`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fraud_detection.boosted import Boosted
from fraud_detection.config import Config
from fraud_detection.examples import Examples
from fraud_detection.linear import Linear
from fraud_detection.network import Network
from paceline import budget, device, hosts
from paceline.course import Course
from paceline.errors import PacelineError
from paceline.progress import Progress
from paceline.record import Run
from paceline.stretch import Stretch

Floats = NDArray[np.float64]


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
