"""Time-savers: which there are for this project, and how a training is made to measure them; `paceline.levers` does it.

They are measured on the fold before the test, whose days are cut off before anything is computed.
"""

from __future__ import annotations

from typing import Any

from fraud_detection import model, tune
from fraud_detection.config import Config
from fraud_detection.examples import Examples
from paceline import device
from paceline.errors import PacelineError
from paceline.levers.task import Lever, Task
from paceline.progress import Progress
from paceline.record import Run

Fold = tuple[Examples, Examples]  # what is trained on, and what watches it


def levers(config: Config) -> list[Lever]:
    """Return the time-savers that suit the configured model and this machine."""
    if config.model.name == "mlp":
        return _of_the_network(config)
    return _of_the_trees(config) if config.model.name == "xgboost" else []


def _of_the_trees(config: Config) -> list[Lever]:
    settings, shape = config.train, config.model
    patience = settings.early_stopping_rounds or 50
    found = [
        Lever(
            "histogram bins", "throughput", {"model.max_bin": 256}, "rare amounts fall into one bin with common ones"
        ),
        Lever("row sampling", "throughput", {"train.subsample": 0.5}, "each tree sees half the rows, of frauds too"),
        Lever(
            "column sampling", "throughput", {"train.colsample_bytree": 0.4}, "a tree may miss what belongs together"
        ),
        Lever(
            "shallower trees",
            "throughput",
            {"model.max_depth": max(1, shape.max_depth - 1)},
            "fewer features can act together",
        ),
        Lever(
            "learning rate",
            "convergence",
            {"train.learning_rate": round(3 * settings.learning_rate, 6)},
            "coarser steps",
        ),
        Lever("L1 penalty", "convergence", {"train.l1": 1.0}, "weak leaves become nothing"),
        Lever("L2 penalty", "convergence", {"train.l2": 10.0}, "leaves become smaller"),
    ]
    if device.usable_cores() > 1:
        half = device.usable_cores() // 2
        found.append(Lever("fewer threads", "throughput", {"train.threads": half}))
    if device.gpus() and settings.device != "gpu":
        found.append(Lever("GPU", "throughput", {"train.device": "gpu"}, without={"train.device": "cpu"}))
    if shape.booster == "gbtree":
        never = {"train.early_stopping_rounds": 0}
        found += [
            Lever("early stopping", "convergence", {"train.early_stopping_rounds": patience}, without=never),
            Lever("dropout", "convergence", {"model.booster": "dart", **never}, "it takes longer", without=never),
        ]
    return found


def _of_the_network(config: Config) -> list[Lever]:
    settings = config.train
    patience = settings.early_stopping_epochs or 5
    found = [
        Lever(
            "batch size",
            "throughput",
            {"train.batch_size": 4 * settings.batch_size},
            "fewer updates, so more epochs or a higher rate",
        ),
        Lever(
            "early stopping",
            "convergence",
            {"train.early_stopping_epochs": patience},
            without={"train.early_stopping_epochs": 0},
        ),
        Lever(
            "learning rate",
            "convergence",
            {"train.mlp_learning_rate": round(3 * settings.mlp_learning_rate, 6)},
            "it may jump",
        ),
        Lever(
            "learning-rate schedule",
            "convergence",
            {"train.mlp_schedule": "cosine"},
            without={"train.mlp_schedule": "constant"},
        ),
        Lever(
            "gradient clipping",
            "convergence",
            {"train.mlp_clip_norm": settings.mlp_clip_norm or 1.0},
            without={"train.mlp_clip_norm": 0.0},
        ),
        Lever("L1 penalty", "convergence", {"train.l1": settings.l1 or 1.0}, without={"train.l1": 0.0}),
        Lever("dropout", "convergence", {"model.dropout": config.model.dropout or 0.2}, without={"model.dropout": 0.0}),
        Lever("L2 penalty", "convergence", {"train.l2": settings.l2 or 1.0}, without={"train.l2": 0.0}),
        Lever(
            "batch normalisation",
            "convergence",
            {"model.batch_normalisation": True},
            without={"model.batch_normalisation": False},
        ),
    ]
    if device.gpus() and settings.device != "gpu":
        found.append(Lever("GPU", "throughput", {"train.device": "gpu"}, without={"train.device": "cpu"}))
    return found


def prepare(config: Config) -> Fold:
    """Return the latest fold before the test; see `tune.prepare`."""
    one = config.model_copy(update={"tune": config.tune.model_copy(update={"folds": 1})})
    return tune.prepare(one).folds(one.data)[0]


def train(fold: Fold, config: Config, run: Run, progress: Progress) -> None:
    """Train once, watched by the fold's later days."""
    run.device = model.choose_device(config, rows=len(fold[0].y), run=run).state()
    model.fit(config, *fold, stage="levers", run=run, progress=progress)


def fewer(fold: Fold, share: float, seed: int) -> tuple[Fold, int]:
    """Return the fold with the latest `share` of its training rows, as if the history were as much shorter.

    Raises:
        PacelineError: the rows are on disk.
    """
    train_on, judged = fold
    if train_on.on_disk is not None:
        raise PacelineError(
            "train.external_memory is on, and shares of the data are taken in memory.",
            "Leave it off: --set train.external_memory=false.",
        )
    latest = slice(len(train_on.y) - round(share * len(train_on.y)), None)
    part = Examples(*(getattr(train_on, name)[latest] for name in ("X", "y", "amounts", "days", "customers")))
    return (part, judged), len(part.y)


def lasting(config: Config) -> dict[str, Any]:
    """Return the settings under which a training does not end by itself."""
    return {
        "train.rounds": 1_000_000,
        "train.epochs": 1_000_000,
        "train.early_stopping_rounds": 0,
        "train.early_stopping_epochs": 0,
        "train.checkpoint_seconds": 1e6,
    }


TASK: Task[Config, Fold] = Task(
    monitor="validation_average_precision",
    larger_is_better=True,
    levers=levers,
    prepare=prepare,
    train=train,
    lasting=lasting,
    fewer=fewer,
    of_network=lambda config: config.model.name == "mlp",
    refuse_early=model.refuse_early,
)
