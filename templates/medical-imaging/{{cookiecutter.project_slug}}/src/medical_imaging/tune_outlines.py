"""Tuning a model that outlines lesions: what may vary, and what a trial is judged by; `tune` is of classifiers.

A trial learns from patients with masks of the training and validation parts and is judged by others of them, fold by
fold, by the loss that training watches at its best: cross-entropy of pixels and Dice. The Dice of each trial is noted
beside it. The test's patients and the external site are left behind before anything is computed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from medical_imaging import data, outlines, overlap, segmentation, splits
from medical_imaging.cohort import Cohort, Split, rows_of
from medical_imaging.config import Config
from paceline import fit_keras
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine
from paceline.tune.space import Space
from paceline.tune.task import Task
from paceline.tune.trial import Outcome, Own, Trial

MONITOR = f"validation_{segmentation.WATCHED}"


@dataclass(frozen=True)
class Prepared:
    """What trials share.

    Attributes:
        cohort: of the training and validation parts alone.
        masks: of its rows.
        folds: rows with masks to learn from and to judge by, no patient in both; what stands for a test is empty.
    """

    cohort: Cohort
    masks: NDArray[np.bool_]
    folds: list[Split]


def space(config: Config) -> Space:
    """Return the ranges that a practitioner would search for the configured network."""
    found: dict[str, BaseDistribution] = {
        "train.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "train.batch_size": IntDistribution(4, 32, log=True),
        "train.optimizer": CategoricalDistribution(("adamw", "sgd")),
        "train.schedule": CategoricalDistribution(("constant", "cosine", "one_cycle")),
        "train.weight_decay": FloatDistribution(1e-4, 1e-1, log=True),
        "model.dropout": FloatDistribution(0.0, 0.5),
    }
    if config.model.name == "frozen":
        return found
    found["train.augment"] = FloatDistribution(0.0, 1.0)
    if config.model.backbone != "none":
        found["transfer.unfreeze_share"] = FloatDistribution(0.05, 1.0)
        found["transfer.learning_rate"] = FloatDistribution(1e-5, 1e-3, log=True)
    return found


def prepare(config: Config) -> Prepared:
    """Return the images and masks of the patients that trials may see, and how they are divided into folds.

    Raises:
        PacelineError: the data cannot be read, have no masks, or too few for so many folds.
    """
    cohort = data.load(config.data, config.model.task, Quarantine())
    split = splits.divide(cohort, config.data, config.train.seed)
    known = np.sort(np.concatenate([split.train, split.validation]))
    part = rows_of(cohort, known)
    if part.masks is None or part.has_mask is None:
        raise PacelineError("There are no masks to learn from.", "Name data.columns.mask, or choose another task.")
    if config.tune.folds == 1:
        parts = [tuple(np.searchsorted(known, rows) for rows in (split.train, split.validation))]
    else:
        masked = np.flatnonzero(part.has_mask)
        judges = splits.folds(part, masked, config.tune.folds, config.train.seed)
        parts = [(np.setdiff1d(masked, rows), rows) for rows in judges]
    masks, folds = part.masks.astype(bool), []
    for pair in parts:
        learn_on, judge_on = (rows[part.has_mask[rows]] for rows in pair)
        for what, rows in (("learned from", learn_on), ("judged by", judge_on)):
            if not masks[rows].any():
                raise PacelineError(
                    f"No mask that would be {what} in one of {config.tune.folds} fold(s) has a lesion.",
                    "Add masks, or ask for fewer folds: --set tune.folds=1.",
                )
        folds.append(Split(learn_on, judge_on, known[:0], known[:0]))
    return Prepared(part, masks, folds)


def objective(prepared: Prepared, trial: Trial[Config]) -> Outcome:
    """Train on each fold and return the mean of the watched loss at its best, with the Dice at the best threshold."""
    config, cohort, masks = trial.config, prepared.cohort, prepared.masks
    settings, whole = config.train, trial.run.folder
    trial.run.device = fit_keras.prepare(settings.device, seed=settings.seed, precision=settings.precision).state()
    values, covered = [], []
    for number, split in enumerate(prepared.folds):
        trial.run.folder = whole / f"fold-{number + 1}"  # each keeps its checkpoints apart
        trial.run.folder.mkdir()
        network, epochs = segmentation.fit(config, cohort, masks, split, run=trial.run, progress=trial.progress)
        seen = [float(row[MONITOR]) for row in trial.run.history["rows"] if MONITOR in row]
        values.append(min(seen, default=float("nan")))
        true, chances = masks[split.validation], outlines.chances(network, cohort.images[split.validation])
        threshold = overlap.best_threshold(chances, true)
        if not number:
            trial.offer(Own(values[-1], _save(config, cohort, network, epochs, threshold)))
        trial.part_ended(values[-1])
        diseased = true.any(axis=(1, 2))
        covered.append(float(overlap.dice(chances[diseased] >= threshold, true[diseased]).mean()))
    return Outcome(statistics.fmean(values), notes={"dice": statistics.fmean(covered)})


def _save(
    config: Config, cohort: Cohort, network: Any, epochs: int, threshold: float
) -> Callable[[Path], dict[str, Any]]:
    """Return what keeps the network of a fold as `segmentation.train` keeps one."""

    def save(folder: Path) -> dict[str, Any]:
        known = {"name": config.model.name, "backbone": config.model.backbone, "classes": list(cohort.classes)}
        sizes = {"parameters": int(network.count_params()), "members": 1, "epochs": epochs}
        decision = {"rule": "the best Dice on validation", "thresholds": [threshold]}
        return {**known, **sizes, **fit_keras.save_model(network, folder / "model.keras"), "decision": decision}

    return save


def trainings(config: Config) -> int:
    """Return how many trainings `train` makes."""
    return 1


TASK: Task[Config, Prepared] = Task(
    score=segmentation.WATCHED,
    monitor=MONITOR,
    larger_is_better=False,
    space=space,
    part_steps=segmentation.most_steps,
    trainings=trainings,
    prepare=prepare,
    objective=objective,
    limits=(),
    train=segmentation.train,
    refuse_early=segmentation.refuse_early,
    keeps_models=True,
)
