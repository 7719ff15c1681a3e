"""Outlines of lesions, judged and used: which images have masks, scores by part and group, masks of new images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medical_imaging import data, explain, groups, overlap, pictures, trained
from medical_imaging.cohort import Cohort, Split
from medical_imaging.config import Report
from medical_imaging.model import predict as logits
from medical_imaging.trained import TrainedRun
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine
from paceline.report import figure

Floats = NDArray[np.float32]
Masks = NDArray[np.bool_]
FLOOR = "the usual place of lesions, whatever the image shows"


def with_masks(cohort: Cohort, split: Split) -> tuple[Split, Masks]:
    """Return the rows that have masks, by part, and all masks.

    Raises:
        PacelineError: there is no mask, or none with a lesion, in a part that wants them.
    """
    if cohort.masks is None or cohort.has_mask is None:
        raise PacelineError("There are no masks to learn from.", "Name data.columns.mask, or choose another task.")
    given = cohort.has_mask
    parts = [part[given[part]] for part in (split.train, split.validation, split.test, split.external)]
    diseased: Masks = np.any(cohort.masks, axis=(1, 2))
    for name, part in zip(("training", "validation", "test"), parts, strict=False):
        if not np.any(diseased[part]):
            raise PacelineError(f"No mask of the {name} part has a lesion.", "Add masks, or divide otherwise.")
    return Split(*parts), cohort.masks.astype(bool)


def chances(network: Any, images: NDArray[Any]) -> Floats:
    """Return for each pixel the probability that a lesion lies there: (images, size, size)."""
    found: Floats = (1 / (1 + np.exp(-logits(network, images)))).astype(np.float32)
    return found


def usual(masks: Masks, rows: NDArray[np.int64], shape: tuple[int, ...]) -> Floats:
    """Return the floor, the same for each image: how often the training's lesions lie at each place, at most 1."""
    often = masks[rows].mean(axis=0)
    found: Floats = np.broadcast_to((often / max(float(often.max()), 1e-9)).astype(np.float32), shape)
    return found


def scores(
    found: Masks, masks: Masks, split: Split, patients: NDArray[np.int64], config: Report, *, seed: int
) -> dict[str, Any]:
    """Return the scores of the test and, as `external_...`, of the external site; see `overlap.score`.

    Args:
        found: outlines of the test's rows and then of the external site's.
        masks: of all rows.
        split: rows with masks.
        patients: of all rows.
        config: `resamples`.
        seed: of the bootstrap.
    """
    made: dict[str, Any] = {}
    start = 0
    for prefix, rows in (("", split.test), ("external_", split.external)):
        if len(rows):
            ours, start = found[start : start + len(rows)], start + len(rows)
            made |= overlap.score(
                ours, masks[rows], patients[rows], resamples=config.resamples, seed=seed, prefix=prefix
            )
    return made


def slices(
    cohort: Cohort, split: Split, found: Masks, masks: Masks, config: Report, *, seed: int
) -> list[dict[str, Any]]:
    """Return the scores by site, sex, age and view of the test, and, as `external ...`, apart of the external site.

    Args:
        cohort: the images.
        split: rows with masks.
        found: outlines of the test's rows and then of the external site's.
        masks: of all rows.
        config: `resamples`.
        seed: of the bootstrap.
    """
    table, start = [], 0
    for rows, by in groups.by_part(cohort, split):
        ours, start = found[start : start + len(rows)], start + len(rows)
        for column, values in by.items():
            for value in sorted({str(each) for each in values} - {""}):
                there = np.array([str(each) == value for each in values])
                here = rows[there]
                of_group = overlap.score(
                    ours[there], masks[here], cohort.patients[here], resamples=config.resamples, seed=seed
                )
                lesions = int(masks[here].any(axis=(1, 2)).sum())
                table.append({"slice": f"{column}={value}", "images": len(here), "lesions": lesions, **of_group})
    return table


def figures(cohort: Cohort, rows: NDArray[np.int64], seen: Floats, masks: Masks, count: int) -> list[dict[str, Any]]:
    """Return pictures of test images with a lesion, and what is found in them; none if `count` is 0.

    Args:
        cohort: the images.
        rows: the test's.
        seen: probabilities of these.
        masks: of all rows.
        count: of pictures.
    """
    chosen = [place for place, row in enumerate(rows) if masks[row].any()][:count]
    if not chosen:
        return []
    return [
        figure.pictures(
            "What it outlines",
            [explain.overlay(np.asarray(cohort.images[rows[at]]), seen[at], masks[rows[at]]) for at in chosen],
            names=[f"image {number + 1}" for number in range(len(chosen))],
            descriptions=[
                f"Image {cohort.items[rows[at]]} with the lesion found and the true outline." for at in chosen
            ],
            caption="Test images with a lesion. Orange is the probability of lesion, blue the true outline.",
        )
    ]


def evaluate(run: TrainedRun, cohort: Cohort, whole: Split) -> dict[str, Any]:
    """Return `scores` and `slices` as the run's record has them, computed again from its saved network."""
    split, masks = with_masks(cohort, whole)
    rows, settings, seed = np.concatenate([split.test, split.external]), run.config.report, run.config.train.seed
    found = chances(run.network, np.asarray(cohort.images[rows])) >= _threshold(run)
    return {
        "scores": scores(found, masks, split, cohort.patients, settings, seed=seed),
        "slices": slices(cohort, split, found, masks, settings, seed=seed),
    }


def predict(
    run: TrainedRun, inputs: Sequence[Path], output: Path, quarantine: Quarantine
) -> tuple[list[str], list[list[Any]], dict[str, Any]]:
    """Write for each image `ITEM.png`, its mask (255 in the lesion, of the image's own size), and `ITEM-overlay.png`.

    They lie in a folder named as `output` is without its ending.

    Returns:
        The columns and rows of the CSV (`item`, `lesion_found`, `lesion_share` of the image, `highest_probability`,
        `mask`), and `masks` (the folder) with `found` (images with a lesion).
    """
    folder, threshold, rows = output.with_suffix(""), _threshold(run), []
    folder.mkdir(exist_ok=True)
    for path in inputs:
        images, items, files = trained.new_images(run, path, quarantine)
        for start in range(0, len(items), 32):  # each is as large as its film: not all at once
            batch = np.asarray(images[start : start + 32])
            seen = chances(run.network, batch)
            for image, chance, place in zip(batch, seen, range(start, start + len(batch)), strict=True):
                shape = data.shape(files[place], trained.files_of(run))
                mask = pictures.unsquared(chance, shape) >= threshold
                file = folder / f"{items[place]}.png"
                cv2.imwrite(str(file), mask.astype(np.uint8) * 255)
                picture = explain.overlay(image, chance.astype(np.float64), chance >= threshold)
                cv2.imwrite(str(folder / f"{items[place]}-overlay.png"), picture[..., ::-1])
                share, top = float(mask.mean()), float(chance.max())
                rows.append([items[place], int(mask.any()), f"{share:.6f}", f"{top:.6f}", f"{folder.name}/{file.name}"])
    columns = ["item", "lesion_found", "lesion_share", "highest_probability", "mask"]
    return columns, rows, {"masks": str(folder), "found": {"lesion": sum(row[1] for row in rows)}}


def _threshold(run: TrainedRun) -> float:
    return float(run.model["decision"]["thresholds"][0])
