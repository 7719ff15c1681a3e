"""How long `train` will take: its trainings, and what follows them, for the library's model of time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medical_imaging import explain, groups, letters
from medical_imaging.cohort import Cohort, Split
from medical_imaging.config import Config
from paceline import budget, resizing, warm
from paceline.budget import Ceiling
from paceline.pace import Pace, Training
from paceline.record import Run
from paceline.terms import After, Measured

# Seconds of what follows a training, on two cores of an Intel Xeon, 2026, Keras on JAX, everything compiled before.
REST_SECONDS = 1.0  # figures, cards, report
IMAGE_SECONDS = 0.008  # of EfficientNet-Lite0's answer to an image of `IMAGE_PX`
IMAGE_PX = 128
ERROR = 0.4  # of all this, as a share; twice as long on an AMD EPYC
# An answer, its first compiled and its last batch filled up, takes so many times an image of a validation: 2.2 to 2.7.
ANSWER_IN_VALIDATION = 2.5


def follow(
    config: Config,
    run: Run,
    stages: Mapping[str, int],
    after: After,
    *,
    data_bytes: int,
    ceiling: Ceiling | None,
    target: float | None,
    history: Path | None,
    made: Callable[[dict[str, Any]], None],
) -> Pace:
    """Return what follows the run's trainings from here on.

    Of a head that is trained first, and fine-tuning after it, only the latter is followed: the head's few seconds tell
    nothing of its time. `held` keeps the head's training from being taken for it, and below the ceiling.

    Args:
        config: of the run.
        run: the run record.
        stages: the trainings with the most epochs that each can take.
        after: see `after_classifier` and `after_outlines`.
        data_bytes: of the images; what a frozen backbone says of them is smaller, and does not count.
        ceiling: see `train.train`, as for the rest.
        target: of the watched score.
        history: of earlier runs.
        made: is given each prediction.

    Raises:
        PacelineError: time is to decide about the epochs, and there is no ceiling.
    """
    budget.most(config.train.epochs, "train.epochs", ceiling)
    budget.most(config.transfer.epochs, "transfer.epochs", ceiling)
    tuned = {name: most for name, most in stages.items() if name.startswith("fine_tune")}
    if ceiling is not None:
        run.budget = {"seconds": ceiling.seconds, "asked": ceiling.asked, "changed": False}
    return Pace(
        run,
        _trainings(config, tuned or stages),
        after=after,
        ceiling=ceiling,
        checkpoint_seconds=config.train.checkpoint_seconds,
        data=warm.of(0 if config.model.name == "frozen" else data_bytes),
        history=history,
        target=target,
        made=made,
    )


def _trainings(config: Config, stages: Mapping[str, int]) -> list[Training]:
    """Return the trainings; of images of half the side a step takes about a quarter, and nothing watches it."""
    if not config.train.progressive_resizing:
        return [Training(name, most) for name, most in stages.items()]
    pixels = (config.data.image_size_px / (config.data.image_size_px // 2)) ** 2
    watched, test = config.data.validation_share, config.data.test_share
    share = watched / (1 - watched - test) if config.train.folds == 1 else 1 / (config.train.folds - 1)
    known = Training("", 1, size=pixels, size_error=resizing.WORK_ERROR, validation_share=share)
    return [
        replace(known, name=name, most=most, watched=False, size=1.0)
        if name.startswith(resizing.SMALL)
        else replace(known, name=name, most=most)
        for name, most in stages.items()
    ]


def after_classifier(config: Config, cohort: Cohort, split: Split, scoring_seconds: float) -> After:
    """Return what follows the last training of a classifier.

    Args:
        config: of the run.
        cohort: the images.
        split: their parts.
        scoring_seconds: what the scores of the floor took; those of the model, of its classes and of each kind of group
            take about as much each.
    """
    kinds = sum(len(by) for _, by in groups.by_part(cohort, split))
    judged = (*split.test, *split.external)
    explained = explain.USUAL_IMAGES + config.report.heatmaps
    if cohort.lesions is not None:
        explained += sum(int((cohort.lesions[row] > 0).any()) for row in judged)
    answered = 0 if config.model.name == "frozen" and config.report.views == 1 else len(cohort.items)
    answered *= config.report.views * config.train.folds * (2 if config.train.folds > 1 else 1)
    if len(found := [row for row in judged if letters.places(cohort.images[row]).any()]) >= letters.FEW:
        explained += len(found)
        answered += 3 * len(found) * config.report.views * (1 if config.model.name == "frozen" else config.train.folds)
    images = answered + explained * config.train.folds
    watched = len(split.validation) if config.train.folds == 1 else len(split.train) + len(split.validation)
    heard = 0.0 if config.model.name == "frozen" else ANSWER_IN_VALIDATION * config.train.folds / watched
    rest = Measured(scoring_seconds * (2 + kinds) + REST_SECONDS, ERROR)
    return After(rest, _answers(config, images), in_validations=heard * images)


def after_outlines(config: Config, cohort: Cohort, split: Split, scoring_seconds: float) -> After:
    """Return what follows the last training of a model that outlines; see `after_classifier`."""
    kinds = sum(len(by) for _, by in groups.by_part(cohort, split))
    images = 2 * sum(len(rows) for rows in (split.validation, split.test, split.external))  # the decoder costs as much
    return After(Measured(scoring_seconds * (1 + kinds) + REST_SECONDS, ERROR), _answers(config, images))


def _answers(config: Config, images: int) -> Measured:
    return Measured(images * IMAGE_SECONDS * (config.data.image_size_px / IMAGE_PX) ** 2, ERROR)
