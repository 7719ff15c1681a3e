"""Tuning: what may vary, and what a trial is judged by; `paceline.tune` does the rest.

A trial learns from sequences of the training and validation parts and is judged by others of them, fold by fold, by
the figure that training watches: the mean IoU at 1/4 of the image, or the loss of boxes or lanes. The test's sequences
are left behind before anything is computed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from sklearn.model_selection import GroupKFold

from driving_perception import duration, levers, train
from driving_perception.config import Config
from driving_perception.data import Scenes
from driving_perception.model import Network
from driving_perception.splits import Split
from paceline import fit_keras, latency
from paceline.errors import PacelineError
from paceline.tune.space import Space
from paceline.tune.task import Task
from paceline.tune.trial import Outcome, Own, Trial

LATENCY = "latency"  # the limit's name
LATENCY_CALLS = 100  # that its 99th percentile is of


@dataclass(frozen=True)
class Prepared:
    """What trials share.

    Attributes:
        scenes: of the training and validation parts alone.
        folds: frames to learn from and to judge by, no sequence in both; what stands for a test is empty.
    """

    scenes: Scenes
    folds: list[Split]


def space(config: Config) -> Space:
    """Return the ranges that a practitioner would search for the configured task and network.

    The loss varies for segmentation alone, which is judged by another figure.
    """
    found: dict[str, BaseDistribution] = {
        "train.learning_rate": FloatDistribution(3e-4, 2e-2, log=True),
        "train.batch_size": IntDistribution(4, 16, log=True),
        "train.optimizer": CategoricalDistribution(("adamw", "sgd")),
        "train.schedule": CategoricalDistribution(("polynomial", "cosine", "one_cycle")),
        "train.weight_decay": FloatDistribution(1e-4, 1e-1, log=True),
        "train.l2": FloatDistribution(0.0, 1e-3),
        "model.dropout": FloatDistribution(0.0, 0.4),
        "model.decoder_channels": IntDistribution(32, 128, log=True),
    }
    segmentation = config.model.task == "segmentation"
    if segmentation:
        found["train.loss"] = CategoricalDistribution(("dice", "cross_entropy", "ohem", "focal"))
        found["train.class_weights"] = CategoricalDistribution(("sqrt_median_frequency", "median_frequency", "none"))
    if config.model.name != "frozen":
        found["model.name"] = CategoricalDistribution(("small", "base", "large"))
        found["train.augment"] = FloatDistribution(0.0, 1.0)
        if segmentation:
            found["train.class_mix"] = FloatDistribution(0.0, 0.5)
    return found


def prepare(config: Config) -> Prepared:
    """Return the frames that trials may see, and how sequences divide them into folds.

    Raises:
        PacelineError: the data cannot be read, or there are fewer sequences than folds.
    """
    known = levers.prepare(config)
    scenes, count = known.scenes, config.tune.folds
    if count == 1:
        return Prepared(scenes, [known.split])
    sequences = scenes.sequences.astype(str)
    if len(set(sequences)) < count:
        raise PacelineError(
            f"tune.folds is {count}, and there are {len(set(sequences))} sequences beside the test's.",
            "Ask for fewer folds: --set tune.folds=1.",
        )
    everything = np.arange(len(sequences))
    pairs = GroupKFold(count, shuffle=True, random_state=config.train.seed).split(everything, groups=sequences)
    return Prepared(scenes, [Split(learn_on, judge_on, everything[:0]) for learn_on, judge_on in pairs])


def objective(prepared: Prepared, trial: Trial[Config]) -> Outcome:
    """Train on each fold and return the mean of the watched figure at its best."""
    config, figures = trial.config, []
    watched = task(config)
    for number, split in enumerate(prepared.folds):
        stage = f"train_{number + 1}"  # each keeps its checkpoints apart
        network, _, taken, fitted = train.fit(
            config, prepared.scenes, split, run=trial.run, progress=trial.progress, stage=stage
        )
        seen = [float(row[watched.monitor]) for row in trial.run.history["rows"] if watched.monitor in row]
        figures.append((max if watched.larger_is_better else min)(seen, default=float("nan")))
        if not number:
            trial.offer(Own(figures[0], own_model(config, network, {**taken, "epochs": fitted.epochs})))
        trial.part_ended(figures[-1])
    value = statistics.fmean(figures)
    if LATENCY not in config.tune.limits:
        return Outcome(value)
    p99_ms = frame_p99_ms(network, prepared.scenes)
    return Outcome(value, limits={LATENCY: p99_ms / config.report.latency_budget_ms - 1}, notes={"p99_ms": p99_ms})


def own_model(config: Config, network: Network, facts: dict[str, Any]) -> Callable[[Path], dict[str, Any]]:
    """Return what keeps the network of a fold as `train` keeps one."""

    def save(folder: Path) -> dict[str, Any]:
        saved = fit_keras.save_model(network.whole(), folder / "model.keras")
        known = {"name": config.model.name, "task": config.model.task, "classes": network.task.classes}
        return {**known, **network.state(), **facts, **saved}

    return save


def frame_p99_ms(network: Network, scenes: Scenes) -> float:
    """Return the 99th percentile of the milliseconds that the whole network takes for one frame, by Keras."""
    frame = np.asarray(scenes.images[:1])
    return latency.measure(network.whole().predict_on_batch, frame, runs=LATENCY_CALLS).p99_ms


def trainings(config: Config) -> int:
    """Return how many trainings `train` makes."""
    return 1


def task(config: Config) -> Task[Config, Prepared]:
    """Return the project's side; the watched figure is that of the configured task."""
    size_px = (config.data.image_height_px, config.data.image_width_px)
    watched = train.task_of(config.model.task, ("",), size_px)
    return Task(
        score=watched.monitor,
        monitor=f"validation_{watched.monitor}",
        larger_is_better=watched.larger_is_better,
        space=space,
        part_steps=duration.most_epochs,
        trainings=trainings,
        prepare=prepare,
        objective=objective,
        limits=(LATENCY,),
        train=train_for_good,
        refuse_early=levers.refuse_early,
        keeps_models=True,
    )


def train_for_good(config: Config, **given: Any) -> dict[str, Any]:
    """Train settings as the command `train` does."""
    return train.train(config, **given)
