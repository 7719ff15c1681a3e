"""How good a segmentation is: counts of each frame, added up at once into any score, slice or interval.

`Tally` looks at a frame once and keeps a few hundred numbers of it: a confusion matrix for each band of the image,
boundary pixels that agree, how sure the answers were. Everything else is sums of these, weighted by the bootstrap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from paceline import intervals

IGNORE = 255
BOUNDARY_TOLERANCE = 0.0075  # of the image's diagonal, as DAVIS and Cityscapes' boundary scores have it
RELIABILITY_BINS = 15
FEWEST_PIXELS = 50  # of a class in a slice, below which its recall there says nothing
# Parts of the image's height from the top down: a level road is nearer the lower it is seen.
BANDS = {"far (upper half)": (0.0, 0.5), "middle (third quarter)": (0.5, 0.75), "near (lowest quarter)": (0.75, 1.0)}
FloatArray = NDArray[np.float64]


def bands_of(lowest_px: NDArray[Any], height_px: int) -> NDArray[np.intp]:
    """Return the place in `BANDS` of what ends at these rows of an image: on a level road it stands there.

    >>> bands_of(np.array([10, 50, 51, 100]), 100).tolist()
    [0, 0, 1, 2]
    """
    return np.digitize(lowest_px / height_px, [bottom for _, bottom in BANDS.values()][:-1], right=True)


class Tally:
    """The counts of frames, one after the other, whatever their size.

    Args:
        classes: their names.

    Attributes:
        confusion: (frames, bands, classes, classes), rows the truth.
        boundary: (frames, classes, 4): predicted boundary pixels near a true one, all predicted; true near a predicted
            one, all true.
        sureness: (frames, bins, 3): pixels, those that are right, and the sum of their probabilities, by probability
            of the answer.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self._confusion: list[NDArray[np.int64]] = []
        self._boundary: list[NDArray[np.int64]] = []
        self._sureness: list[FloatArray] = []

    @property
    def confusion(self) -> NDArray[np.int64]:  # noqa: D102 -- as said above
        return np.stack(self._confusion)

    @property
    def boundary(self) -> NDArray[np.int64]:  # noqa: D102
        return np.stack(self._boundary)

    @property
    def sureness(self) -> FloatArray:  # noqa: D102
        return np.stack(self._sureness)

    def add(self, truth: NDArray[np.uint8], answer: NDArray[np.uint8], sure: NDArray[np.float32] | None = None) -> None:
        """Count a frame.

        Args:
            truth: class numbers (height, width), 255 ignored.
            answer: class numbers, likewise.
            sure: the probability of the answer at each pixel, if it is known.
        """
        height, count = truth.shape[0], len(self.classes)
        bands = []
        for top, bottom in BANDS.values():
            rows = slice(round(top * height), round(bottom * height))
            bands.append(confusion(truth[rows], answer[rows], count))
        self._confusion.append(np.stack(bands))
        self._boundary.append(boundaries(truth, answer, count))
        self._sureness.append(np.zeros((RELIABILITY_BINS, 3)) if sure is None else _sureness(truth, answer, sure))


def confusion(truth: NDArray[np.uint8], answer: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Return (classes, classes) pixels by truth and answer, ignored ones left out.

    >>> confusion(np.array([[0, 1, 255]], np.uint8), np.array([[0, 0, 1]], np.uint8), 2).tolist()
    [[1, 0], [1, 0]]
    """
    seen = truth < classes
    places = truth[seen].astype(np.intp) * classes + answer[seen]
    return np.bincount(places, minlength=classes**2).reshape(classes, classes)


def boundaries(truth: NDArray[np.uint8], answer: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Return (classes, 4) counts of boundary pixels; see `Tally`. Boundaries to what is ignored do not count."""
    height, width = truth.shape
    radius = max(1, round(BOUNDARY_TOLERANCE * float(np.hypot(height, width))))
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    around = np.ones((3, 3), np.uint8)
    known = cv2.erode((truth != IGNORE).astype(np.uint8), around)
    found = np.zeros((classes, 4), np.int64)
    for number in np.union1d(np.unique(truth[truth < classes]), np.unique(answer)):
        edges = []
        for labels in (answer, truth):
            inside = (labels == number).astype(np.uint8)
            edges.append(cv2.subtract(inside, cv2.erode(inside, around)) & known)
        of_answer, of_truth = edges
        found[number] = (
            int((of_answer & cv2.dilate(of_truth, near)).sum()),
            int(of_answer.sum()),
            int((of_truth & cv2.dilate(of_answer, near)).sum()),
            int(of_truth.sum()),
        )
    return found


def _sureness(truth: NDArray[np.uint8], answer: NDArray[np.uint8], sure: NDArray[np.float32]) -> FloatArray:
    seen = truth != IGNORE
    values, right = sure[seen].astype(np.float64), (truth == answer)[seen]
    bins = np.minimum((values * RELIABILITY_BINS).astype(np.intp), RELIABILITY_BINS - 1)
    sums = [np.bincount(bins, weights=weights, minlength=RELIABILITY_BINS) for weights in (None, right, values)]
    return np.stack(sums, axis=-1).astype(np.float64)


def iou(counts: NDArray[Any]) -> FloatArray:
    """Return intersection over union of each class from confusion counts (..., classes, classes); NaN where unseen."""
    both = np.einsum("...ii->...i", counts).astype(np.float64)
    either = counts.sum(axis=-1) + counts.sum(axis=-2) - both
    return np.asarray(np.divide(both, either, out=np.full_like(both, np.nan), where=either > 0))


def recall(counts: NDArray[Any]) -> FloatArray:
    """Return the share of each class's pixels that is found; NaN where it has none."""
    both = np.einsum("...ii->...i", counts).astype(np.float64)
    there = counts.sum(axis=-1).astype(np.float64)
    return np.asarray(np.divide(both, there, out=np.full_like(both, np.nan), where=there > 0))


def mean(values: FloatArray) -> float:
    """Return the mean of what is not NaN; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def boundary_f1(counts: NDArray[Any]) -> float:
    """Return the mean over the classes of the F1 of boundary pixels (Csurka et al. 2013), from counts (classes, 4)."""
    hits, answers, found, there = (counts[:, place].astype(np.float64) for place in range(4))
    precision = np.divide(hits, answers, out=np.zeros_like(hits), where=answers > 0)
    recalled = np.divide(found, there, out=np.zeros_like(hits), where=there > 0)
    both = precision + recalled
    f1 = np.divide(2 * precision * recalled, both, out=np.zeros_like(hits), where=both > 0)
    return mean(np.where(answers + there > 0, f1, np.nan))


def calibration_error(counts: FloatArray) -> float:
    """Return the mean distance of probability and share of right pixels, by bins of probability (Guo et al. 2017)."""
    pixels, right, sums = counts.T
    return float(np.abs(right - sums).sum() / pixels.sum()) if pixels.sum() else float("nan")


def score(
    tally: Tally, sequences: NDArray[Any], *, gate_class: str, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Return the scores of a test with intervals, by bootstrap over whole sequences: neighbouring frames are alike.

    Args:
        tally: of the test frames.
        sequences: that each frame belongs to.
        gate_class: whose recall is given as well; empty or unknown: of none.
        resamples: of the bootstrap; 0 gives no ends.
        seed: of the bootstrap.

    Returns:
        `mean_iou`, `boundary_f1`, `pixel_accuracy`, `calibration_error`, `<gate_class>_recall`.
    """
    whole = tally.confusion.sum(axis=1)
    boundary, sureness = tally.boundary, tally.sureness

    def values(weights: FloatArray) -> dict[str, float]:
        counts = np.einsum("f,fij->ij", weights, whole)
        found = {
            "mean_iou": mean(iou(counts)),
            "boundary_f1": boundary_f1(np.einsum("f,fij->ij", weights, boundary)),
            "pixel_accuracy": float(np.trace(counts) / counts.sum()) if counts.sum() else float("nan"),
            "calibration_error": calibration_error(np.einsum("f,fij->ij", weights, sureness)),
        }
        if gate_class in tally.classes:
            found[f"{gate_class}_recall"] = float(recall(counts)[tally.classes.index(gate_class)])
        return found

    found = intervals.bootstrap_many(values, sequences.astype(str), resamples=resamples, seed=seed)
    return {name: interval.state() for name, interval in found.items() if not np.isnan(interval.value)}


def by_class(tally: Tally, sequences: NDArray[Any], *, resamples: int, seed: int) -> list[dict[str, Any]]:
    """Return a row a class that was seen: `class`, `share` of the pixels, `iou`, `low`, `high`, `recall`."""
    whole = tally.confusion.sum(axis=1)
    counts = whole.sum(axis=0)
    found = intervals.bootstrap_many(
        lambda weights: dict(zip(tally.classes, iou(np.einsum("f,fij->ij", weights, whole)), strict=True)),
        sequences.astype(str),
        resamples=resamples,
        seed=seed,
    )
    share, recalled = counts.sum(axis=1) / max(1, counts.sum()), recall(counts)
    return [
        {
            "class": name,
            "share": float(share[place]),
            "iou": found[name].value,
            "low": found[name].low,
            "high": found[name].high,
            "recall": float(recalled[place]),
        }
        for place, name in enumerate(tally.classes)
        if not np.isnan(found[name].value)
    ]


def slices(
    tally: Tally, sequences: NDArray[Any], attributes: Mapping[str, NDArray[Any]], *, gate_class: str
) -> list[dict[str, Any]]:
    """Return a row for each sequence, weather, time of day, kind of scene, and band of the image.

    Returns:
        `slice`, `frames`, `mean_iou`, and where the class is known `<gate_class>_recall`, None with too few pixels.
    """
    counts = tally.confusion
    groups: list[tuple[str, NDArray[Any]]] = []
    for name, values in {**attributes, "sequence": sequences}.items():
        known = values.astype(str)
        groups += [(f"{name}: {value}", counts[known == value]) for value in sorted(set(known) - {"", "undefined"})]
    groups += [(f"distance: {band}", counts[:, place : place + 1]) for place, band in enumerate(BANDS)]
    rows = []
    for name, part in groups:
        added = part.sum(axis=(0, 1))
        row: dict[str, Any] = {"slice": name, "frames": len(part), "mean_iou": mean(iou(added))}
        if gate_class in tally.classes:
            place = tally.classes.index(gate_class)
            enough = added[place].sum() >= FEWEST_PIXELS
            row[f"{gate_class}_recall"] = float(recall(added)[place]) if enough else None
        if not np.isnan(row["mean_iou"]):
            rows.append(row)
    return rows


def location_prior(masks: Iterable[NDArray[np.uint8]], classes: int) -> NDArray[np.uint8]:
    """Return the class seen most often at each pixel of the training masks: what knows nothing of an image can say."""
    counts: NDArray[np.int64] | None = None
    for mask in masks:
        if counts is None:
            counts = np.zeros((*mask.shape, classes), np.int64)
        for number in np.unique(mask[mask < classes]):
            counts[..., number] += mask == number
    if counts is None:
        raise ValueError("a location prior needs at least one mask")
    smooth = cv2.GaussianBlur(counts.astype(np.float32), (0, 0), sigmaX=max(1.0, counts.shape[1] / 100))
    return np.asarray(smooth.reshape(counts.shape).argmax(axis=-1), np.uint8)
