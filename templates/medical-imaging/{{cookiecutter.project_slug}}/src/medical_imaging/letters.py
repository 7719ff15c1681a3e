"""Letters burned into images: where they are, and whether a model reads them.

A hospital that marks its films and sees more of the ill teaches a network to read the mark. Counting marks by class
(see `audits`) says that it could; here it is asked whether it did: the letters are erased, and the answers compared.
Erasing an equal patch on the opposite side is the floor, for filling in changes an answer too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medical_imaging.cohort import Cohort
from medical_imaging.decisions import Decision
from paceline import intervals

Floats = NDArray[np.float64]
BORDER = 0.22  # of the image's side, where letters are burned in
SIDE = (0.03, 0.2)  # of the image's side, least and most height of a letter
BRIGHT, STANDS_OUT = 175, 60  # of 255: a letter's shade, and its difference from what is around it
RIM = 0.016  # of the image's side: how far a letter's blurred edge reaches
FEW = 10  # images with letters; fewer say nothing
FLOOR = "erasing as much on the opposite side"


def places(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which pixels are of something small, bright and sharp near the border: letters or a marker, most likely.

    A hint to look, no proof: lead markers are found, text in a dark shade is not.

    Args:
        image: (size, size) or (size, size, channels).
    """
    grey = image if image.ndim == 2 else image[..., 0] if image.shape[2] == 1 else image.mean(axis=2).astype(np.uint8)
    size = len(grey)
    around = cv2.medianBlur(np.ascontiguousarray(grey), max(3, size // 10 | 1))
    edge = int(size * BORDER)
    bright = ((grey >= BRIGHT) & (grey.astype(int) - around > STANDS_OUT)).astype(np.uint8)
    bright[edge : size - edge, edge : size - edge] = 0
    _, numbers, boxes, _ = cv2.connectedComponentsWithStats(bright)
    heights, widths, areas = (boxes[:, key] for key in (cv2.CC_STAT_HEIGHT, cv2.CC_STAT_WIDTH, cv2.CC_STAT_AREA))
    low, high = SIDE
    kept = (low * size <= heights) & (heights <= high * size) & (widths <= 0.5 * size) & (areas >= 4)
    kept[0] = False  # the ground
    found: NDArray[np.bool_] = kept[numbers]
    return found


def erased(image: NDArray[np.uint8], where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the image (size, size, 1 or 3) with `where`, and its rim, filled in from around (Telea 2004)."""
    reach = max(1, round(RIM * len(image)))
    mask = cv2.dilate(where.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    filled = cv2.inpaint(np.ascontiguousarray(image), mask, 3, cv2.INPAINT_TELEA)
    return np.asarray(filled, np.uint8).reshape(image.shape)


def most_moved(by_class: Sequence[Mapping[str, Any]]) -> int:
    """Return the place of the class whose probability erasing letters moves most; see `effect`."""
    moved = [abs(row["with_letters"]["value"] - row["letters_erased"]["value"]) for row in by_class]
    return int(np.argmax(moved))


def effect(
    cohort: Cohort,
    rows: NDArray[np.int64],
    answer: Callable[[NDArray[np.uint8]], Floats],
    decision: Decision,
    *,
    resamples: int,
    seed: int,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return by how much erasing the letters moves a model's probabilities.

    Args:
        cohort: the images.
        rows: of them; those with letters count.
        answer: the model's logits (images, classes) of any images.
        decision: makes probabilities of them.
        resamples: of the bootstrap over patients.
        seed: of it.

    Returns:
        The score: the mean absolute change of a probability, with its interval and the floor's; and a row a class with
        the mean probability with letters and with these erased. Both are empty where under `FEW` images have letters.
    """
    found = {int(row): where for row in rows if (where := places(cohort.images[row])).any()}
    if len(found) < FEW:
        return {}, []
    images = [cohort.images[row] for row in found]
    versions = (
        np.asarray(images),
        np.stack([erased(image, where) for image, where in zip(images, found.values(), strict=True)]),
        np.stack([erased(image, where[:, ::-1]) for image, where in zip(images, found.values(), strict=True)]),
    )
    marked, clean, control = (decision.probabilities(answer(each)) for each in versions)
    moved, usual = (np.abs(marked - each).mean(axis=1) for each in (clean, control))

    def statistics(weights: Floats) -> dict[str, float]:
        means = {"moved": moved, "usual": usual}
        for name, part in (("with", marked), ("without", clean)):
            means |= {f"{name} {column}": part[:, column] for column in range(part.shape[1])}
        return {name: float(np.average(values, weights=weights)) for name, values in means.items()}

    patients = cohort.patients[list(found)]
    states = {
        name: interval.state()
        for name, interval in intervals.bootstrap_many(statistics, patients, resamples=resamples, seed=seed).items()
    }
    score = states["moved"] | {"floor": {"name": FLOOR, **states["usual"]}}
    by_class = [
        {
            "class": name,
            "images": len(found),
            "with_letters": states[f"with {column}"],
            "letters_erased": states[f"without {column}"],
        }
        for column, name in enumerate(cohort.classes)
    ]
    return score, by_class
