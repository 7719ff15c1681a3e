"""Which images of a cohort can be used: none that shows nothing, none twice, and no class without its opposite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_imaging import splits
from medical_imaging.cohort import Cohort
from medical_imaging.config import Data
from paceline import cache
from paceline.errors import PacelineError

BLANK_SPREAD = 2  # of 255: an image whose darkest and brightest pixels are nearer than that shows nothing
PRIORITY = {"test": 0, "validation": 1, "train": 2, "": 2}  # of two equal images the one that stays


def of(cohort: Cohort) -> tuple[NDArray[np.bool_], list[tuple[str, str]]]:
    """Return which rows to keep, and why not the others: they show nothing, or are equal to another."""
    good = np.ones(len(cohort.items), bool)
    official = [""] * len(good) if cohort.official is None else cohort.official.tolist()
    unfit: list[tuple[str, str]] = []
    first: dict[bytes, int] = {}
    hashes = splits.digests(cohort.images)
    for row in sorted(range(len(good)), key=lambda row: (PRIORITY[official[row]], row)):
        image = cohort.images[row]
        reason = ""
        if int(image.max()) - int(image.min()) < BLANK_SPREAD:
            reason = "the image is blank"
        elif (earlier := first.setdefault(hashes[row], row)) != row:
            if (
                official[row]
                and official[row] == official[earlier]
                and cohort.patients[row] != cohort.patients[earlier]
            ):
                continue  # within a part of a published split it leaks nothing, and scores stay comparable
            other = "the same" if cohort.patients[row] == cohort.patients[earlier] else "another"
            reason = f"equal to the last pixel to an image of {other} patient"
        if reason:
            good[row] = False
            unfit.append((cohort.items[row], reason))
    return good, unfit


def kept(cohort: Cohort, good: NDArray[np.bool_], config: Data) -> Cohort:
    """Return the cohort's good rows; their images go to an entry of the cache, for they may not fit into memory."""
    places = np.flatnonzero(good)

    def rows(done: int) -> Iterator[Mapping[str, NDArray[Any]]]:
        for start in range(done, len(places), 256):
            yield {"rows": np.asarray(cohort.images[places[start : start + 256]])}

    images = cache.arrays(
        {"of": "kept images", "images": cache.fingerprint(cohort.images), "rows": cache.fingerprint(places)},
        rows,
        rows=len(places),
        specs={"rows": (np.uint8, cohort.images.shape[1:])},
        max_bytes=config.max_cache_bytes,
        setting="data.max_cache_bytes",
    )["rows"]

    def part(values: Any) -> Any:
        return None if values is None else values[places]

    return replace(
        cohort,
        images=images,
        labels=cohort.labels[places],
        patients=np.unique(cohort.patients[places], return_inverse=True)[1].astype(np.int64),
        items=tuple(cohort.items[row] for row in places),
        sites=part(cohort.sites),
        sex=part(cohort.sex),
        age_years=part(cohort.age_years),
        view=part(cohort.view),
        masks=part(cohort.masks),
        lesions=part(cohort.lesions),
        has_mask=part(cohort.has_mask),
        official=part(cohort.official),
    )


def refuse_one_class(cohort: Cohort) -> None:
    """Refuse classes that are present in all images, or in none; to outlines they do not matter."""
    if cohort.task == "segmentation":
        return
    for column, name in enumerate(cohort.classes):
        values = cohort.labels[:, column]
        present, absent = int((values == 1).sum()), int((values == 0).sum())
        if not present or not absent:
            raise PacelineError(
                f"The class '{name}' is present in {present:,} and absent in {absent:,} images.",
                "A class needs both. Leave it out (data.classes), or add images.",
            )
