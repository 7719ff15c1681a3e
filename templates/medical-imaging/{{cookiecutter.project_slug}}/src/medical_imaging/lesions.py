"""Masks of lesions joined to their images: which class each is of, and which images are known to have none."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medical_imaging import formats, pictures, privacy, synthetic
from medical_imaging.cohort import LESION, Cohort
from medical_imaging.config import Data
from medical_imaging.dicom import Frame
from paceline import cache

ANY_CLASS = 255  # in `Cohort.lesions`


def attach(
    names: Sequence[str], root: Path, cohort: Cohort, config: Data, ids: privacy.Ids
) -> tuple[Cohort, list[tuple[str, str]]]:
    """Return the cohort with its masks, and which masks cannot be read; where nothing is present, none is needed.

    Where no table tells what is present, the masks do.
    """
    places = [row for row, name in enumerate(names) if name]
    if not places:
        return cohort, []
    size = config.image_size_px
    found = cache.images(
        [root / names[row] for row in places],
        functools.partial(_square_mask, size_px=size, frame=config.frame),
        shape=(size, size),
        dtype=np.uint8,
        parameters={"readers": formats.READERS, "mask": True, "frame": config.frame},
        max_bytes=config.max_cache_bytes,
        setting="data.max_cache_bytes",
    )
    numbered = synthetic.CLASSES if config.source == "synthetic" else None
    lesions = np.zeros((len(names), size, size), np.uint8)
    absent = [column for column, name in enumerate(cohort.classes) if not _means_nothing(name)]
    has_mask = (cohort.labels[:, absent] == 0).all(axis=1)
    labels = cohort.labels.copy()
    masks_tell = cohort.classes == (LESION,) and bool(np.isnan(labels).all())
    for row, mask in zip((places[place] for place in found.kept), found.array, strict=True):
        if masks_tell:
            labels[row] = mask.any()
        lesions[row] = _by_class(mask, cohort.classes, labels[row], numbered)
        has_mask[row] = True
    bad = [(ids.item(names[places[place]]), f"of the mask: {reason}") for place, reason in found.refused.items()]
    masks = (lesions > 0).astype(np.uint8)
    return replace(cohort, labels=labels, masks=masks, lesions=lesions, has_mask=has_mask), bad


def _square_mask(path: Path, *, size_px: int, frame: Frame) -> NDArray[np.uint8]:
    return pictures.squared_mask(pictures.read_mask(path, frame), size_px)


def _by_class(
    mask: NDArray[np.uint8], classes: Sequence[str], labels: NDArray[np.float32], numbered: Sequence[str] | None
) -> NDArray[np.uint8]:
    """Return a mask with the numbers of the cohort's classes.

    Args:
        mask: the numbers of classes from 1, or one value, such as 1 or 255: then it is of the one class that is
            present in the image, or of `ANY_CLASS`.
        classes: the cohort's.
        labels: of the image, which tell what is present.
        numbered: the classes that the numbers mean for certain; a lesion of one that the cohort has not is left out.
    """
    if numbered is not None:
        number_of = {name: number for number, name in enumerate(classes, start=1)}
        return np.array([0, *(number_of.get(name, 0) for name in numbered)], np.uint8)[mask]
    top = int(mask.max())
    if 1 < top <= len(classes):
        return mask
    present = [column for column, value in enumerate(labels) if value == 1]
    return np.where(mask > 0, np.uint8(present[0] + 1 if len(present) == 1 else ANY_CLASS), np.uint8(0))


def _means_nothing(name: str) -> bool:
    return name.lower().replace("_", " ") in {"no finding", "normal"}
