"""Tuning: what may vary, and what a trial is judged by; `paceline.tune` does the rest.

A trial learns from patients of the training and validation parts and is judged by others of them, fold by fold, by the
mean AUROC, which images of another size leave comparable: it is of the same patients. The test's patients and the
external site are left behind before anything is computed. A model that outlines has a search of its own,
`tune_outlines`.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from medical_imaging import data, decisions, fitting, metrics, model, splits, targets, train
from medical_imaging.cohort import Cohort, Rows, rows_of
from medical_imaging.config import Config
from medical_imaging.metrics import Judged
from paceline import device, fit_keras
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine
from paceline.tune.space import Space
from paceline.tune.task import Task
from paceline.tune.trial import Outcome, Own, Trial

MOST_CALIBRATION_ERROR = 0.1  # the limit `calibration_error`
SIZE_SHARES = (0.5, 1.0, 1.5)  # of the configured size of images
SIZE_STEP_PX, LARGEST_PX = 32, 2048  # what networks reduce an image by; what `data.image_size_px` may be
KEPT = 2  # further sizes of the images in memory


@dataclass(frozen=True)
class Prepared:
    """What trials share.

    Attributes:
        cohort: of the training and validation parts alone.
        folds: rows to learn from, and rows to judge by, no patient in both.
    """

    cohort: Cohort
    folds: list[tuple[Rows, Rows]]
    _sized: dict[int, Cohort] = field(default_factory=dict)

    def of_size(self, config: Config) -> Cohort:
        """Return the same images, row by row, with a side of `data.image_size_px`.

        Raises:
            PacelineError: not all of them are fit for use at that size.
        """
        size_px = config.data.image_size_px
        if size_px == self.cohort.images.shape[1]:
            return self.cohort
        if size_px not in self._sized:
            while len(self._sized) >= KEPT:
                del self._sized[next(iter(self._sized))]
            found = data.load(config.data, config.model.task, Quarantine())
            places = {item: place for place, item in enumerate(found.items)}
            missing = sum(item not in places for item in self.cohort.items)
            if missing:
                raise PacelineError(
                    f"With {size_px} px {missing} images are blank or equal to others, which they are not otherwise.",
                    "Vary other sizes: --vary data.image_size_px=128,192.",
                )
            self._sized[size_px] = rows_of(found, np.array([places[item] for item in self.cohort.items]))
        return self._sized[size_px]


def space(config: Config) -> Space:
    """Return the ranges that a practitioner would search for the configured model."""
    small: dict[str, BaseDistribution] = {
        "data.image_size_px": CategoricalDistribution(sizes_px(config.data.image_size_px)),
        "train.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "train.batch_size": IntDistribution(8, 64, log=True),
        "train.optimizer": CategoricalDistribution(("adamw", "sgd")),
        "train.schedule": CategoricalDistribution(("constant", "cosine", "one_cycle")),
        "train.loss": CategoricalDistribution(("weighted", "focal", "plain")),
        "train.l1": FloatDistribution(0.0, 0.01),
        "train.l2": FloatDistribution(0.0, 0.3),
        "model.dropout": FloatDistribution(0.0, 0.6),
    }
    if config.model.name == "frozen":
        return {**small, "model.head": CategoricalDistribution(("linear", "kernel"))}
    augmented = {
        **small,
        "train.augment": FloatDistribution(0.0, 1.0),
        "train.network_l2": FloatDistribution(0.0, 1e-3),
    }
    if config.from_scratch:
        return augmented
    return {
        **augmented,
        "transfer.unfreeze_share": FloatDistribution(0.05, 1.0),
        "transfer.learning_rate": FloatDistribution(1e-5, 1e-3, log=True),
    }


def sizes_px(configured: int) -> list[int]:
    """Return the configured size of images with a smaller and a larger one, in pixels.

    >>> sizes_px(128), sizes_px(32)
    ([64, 128, 192], [32, 64])
    """
    others = [SIZE_STEP_PX * max(1, round(share * configured / SIZE_STEP_PX)) for share in SIZE_SHARES]
    return sorted({configured, others[0], min(LARGEST_PX, others[-1])})


def prepare(config: Config) -> Prepared:
    """Return the images and labels of the patients that trials may see, and how they are divided into folds.

    Raises:
        PacelineError: the data cannot be read, there are fewer patients than folds, or lesions are to be outlined.
    """
    if config.model.task == "segmentation":
        raise PacelineError("model.task is 'segmentation', and this is of classifiers.", "Take a classifier.")
    cohort = data.load(config.data, config.model.task, Quarantine())
    split = splits.divide(cohort, config.data, config.train.seed)
    known = np.sort(np.concatenate([split.train, split.validation]))
    part = rows_of(cohort, known)
    if config.tune.folds == 1:
        return Prepared(part, [(np.searchsorted(known, split.train), np.searchsorted(known, split.validation))])
    everything = np.arange(len(known))
    judges = splits.folds(part, everything, config.tune.folds, config.train.seed)
    return Prepared(part, [(np.setdiff1d(everything, rows), rows) for rows in judges])


def objective(prepared: Prepared, trial: Trial[Config]) -> Outcome:
    """Train on each fold and return the mean AUROC, with the calibration error on patients it was not chosen by."""
    cohort, folds = prepared.of_size(trial.config), prepared.folds
    # As many members as folds, so that each keeps its checkpoints apart.
    settings = trial.config.train.model_copy(update={"folds": len(folds)})
    config = trial.config.model_copy(update={"train": settings})
    trial.run.device = fit_keras.prepare(settings.device, seed=settings.seed, precision=settings.precision).state()
    exclusive = config.model.task == "multiclass"
    learned = targets.to_learn(cohort.labels, settings.uncertain, seed=settings.seed)
    backbone = model.build_backbone(config, cohort.images.shape[-1])
    areas, errors = [], []
    for number, (learn_on, judge_on) in enumerate(folds):
        weights = targets.class_weights(learned[learn_on], exclusive=exclusive)
        if number and config.model.name != "frozen":
            backbone = model.build_backbone(config, cohort.images.shape[-1])
        member = fitting.fit(
            config, backbone, cohort.images, learned, weights, learn_on, judge_on,
            suffix=f"_{number + 1}" if len(folds) > 1 else "", run=trial.run, progress=trial.progress,
        )  # fmt: skip
        fitted = model.Trained((member,), frozen=config.model.name == "frozen")
        logits = fitted.logits(config, cohort.images, trial.run)
        offsets = np.log(weights) if settings.loss == "weighted" else np.zeros(len(weights))
        areas.append(_judge(config, cohort, logits, offsets, judge_on, judge_on)["auroc"]["value"])
        if not number:
            trial.offer(_own(config, cohort, fitted, logits, offsets, judge_on, areas[-1]))
        trial.part_ended(areas[-1])
        one, other = splits.folds(cohort, judge_on, 2, settings.seed)
        for pair in ((one, other), (other, one)):
            errors.append(_judge(config, cohort, logits, offsets, *pair)["ece"]["value"])
    error = statistics.fmean(errors)
    limits = {"calibration_error": error / MOST_CALIBRATION_ERROR - 1}
    return Outcome(statistics.fmean(areas), limits=limits, notes={"ece": error})


def _own(
    config: Config,
    cohort: Cohort,
    fitted: model.Trained,
    logits: NDArray[np.float64],
    offsets: NDArray[Any],
    judge_on: Rows,
    value: float,
) -> Own:
    """Return the model of one fold, to be kept as `train` keeps one; it decides by what it was judged by."""

    def save(folder: Path) -> dict[str, Any]:
        decision = _decide(config, cohort, logits, offsets, judge_on)
        known = {"name": config.model.name, "backbone": config.model.backbone, "classes": list(cohort.classes)}
        return {**known, **fitted.save(folder), **decision.state()}

    return Own(value, save)


def _decide(
    config: Config, cohort: Cohort, logits: NDArray[np.float64], offsets: NDArray[Any], rows: Rows
) -> decisions.Decision:
    """Return the calibration and the operating points that some rows settle."""
    exclusive, truth = config.model.task == "multiclass", targets.to_judge(cohort.labels)
    return decisions.decide(config.report, logits[rows], truth[rows], offsets, exclusive=exclusive)


def _judge(
    config: Config, cohort: Cohort, logits: NDArray[np.float64], offsets: NDArray[Any], decide_on: Rows, judge_on: Rows
) -> dict[str, Any]:
    """Return the scores on some rows, calibrated on others."""
    exclusive, truth = config.model.task == "multiclass", targets.to_judge(cohort.labels)
    decision = _decide(config, cohort, logits, offsets, decide_on)
    judged = Judged(
        truth[judge_on],
        decision.probabilities(logits[judge_on]),
        cohort.patients[judge_on],
        np.asarray(decision.thresholds),
        cohort.classes,
        exclusive,
    )
    return metrics.score(judged, resamples=0, seed=0)


def refuse_early(config: Config) -> None:
    """Refuse a device that is not there, before any data are read."""
    device.refuse_unusable(config.train.device)


def part_steps(config: Config) -> int:
    """Return the most epochs of one fold's trainings."""
    one = config.model_copy(update={"train": config.train.model_copy(update={"folds": 1})})
    return sum(fitting.stages(one).values())


def trainings(config: Config) -> int:
    """Return how many trainings `train` makes."""
    return config.train.folds


TASK: Task[Config, Prepared] = Task(
    score="auroc",
    monitor="validation_auroc",
    larger_is_better=True,
    space=space,
    part_steps=part_steps,
    trainings=trainings,
    prepare=prepare,
    objective=objective,
    limits=("calibration_error",),
    train=train.train,
    refuse_early=refuse_early,
    keeps_models=True,
)


def task(config: Config) -> Task[Config, Any]:
    """Return the project's side for the configured task."""
    if config.model.task != "segmentation":
        return TASK
    from medical_imaging import tune_outlines

    return tune_outlines.TASK
