"""How well a drawn lesion covers the true one: Dice, intersection over union, Hausdorff distance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from paceline import intervals

Masks = NDArray[np.bool_]
Floats = NDArray[np.float64]
PERCENTILE = 95  # of the Hausdorff distance: the largest alone is one pixel's


def dice(found: Masks, true: Masks) -> Floats:
    """Return the Dice coefficient of each image, 1 where neither has a lesion.

    >>> dice(np.array([[[True, True]]]), np.array([[[True, False]]])).round(3).tolist()
    [0.667]
    """
    both, sizes = (found & true).sum(axis=(1, 2)), found.sum(axis=(1, 2)) + true.sum(axis=(1, 2))
    common_share: Floats = np.divide(2.0 * both, sizes, out=np.ones(len(found)), where=sizes > 0)
    return common_share


def iou(found: Masks, true: Masks) -> Floats:
    """Return intersection over union of each image, 1 where neither has a lesion."""
    both, either = (found & true).sum(axis=(1, 2)), (found | true).sum(axis=(1, 2))
    common_share: Floats = np.divide(both, either, out=np.ones(len(found)), where=either > 0)
    return common_share


def hausdorff(found: Masks, true: Masks) -> Floats:
    """Return the 95th percentile of the distances between both outlines in pixels, NaN where one has no lesion."""
    distances = np.full(len(found), np.nan)
    for row, (ours, theirs) in enumerate(zip(found, true, strict=True)):
        if ours.any() and theirs.any():
            edges = [mask & ~binary_erosion(mask) for mask in (ours, theirs)]
            apart = [distance_transform_edt(~edge) for edge in edges]
            distances[row] = np.percentile(np.concatenate([apart[1][edges[0]], apart[0][edges[1]]]), PERCENTILE)
    return distances


def score(
    found: Masks, true: Masks, patients: NDArray[np.int64], *, resamples: int, seed: int, prefix: str = ""
) -> dict[str, Any]:
    """Return the metrics as the run record keeps them, with 95 % intervals of a bootstrap over patients.

    `dice`, `iou` and `hausdorff_95_px` are means over images with a lesion; `false_alarms` is the share of images
    without one in which something is drawn, `missed` that of images with one in which nothing is.
    """
    diseased, drawn = _anywhere(true), _anywhere(found)
    values = {"dice": dice(found, true), "iou": iou(found, true), "hausdorff_95_px": hausdorff(found, true)}

    def statistics(weights: Floats) -> dict[str, float]:
        means = {name: _mean(each, weights * diseased) for name, each in values.items()}
        return means | {
            "missed": _mean(1 - drawn, weights * diseased),
            "false_alarms": _mean(drawn, weights * (1 - diseased)),
        }

    made = intervals.bootstrap_many(statistics, patients, resamples=resamples, seed=seed)
    return {f"{prefix}{name}": interval.state() for name, interval in made.items()}


def best_threshold(chances: NDArray[np.floating[Any]], true: Masks) -> float:
    """Return the probability from which on a pixel is lesion that gives the best mean Dice of the images with one."""
    diseased = true.any(axis=(1, 2))
    candidates = np.linspace(0.1, 0.9, 17)
    means = [float(dice(chances[diseased] >= each, true[diseased]).mean()) for each in candidates]
    return float(candidates[int(np.argmax(means))])


def notes() -> dict[str, str]:
    """Return what the scores mean."""
    return {
        "dice": "Mean over the images with a lesion; 1 is a perfect outline.",
        "hausdorff_95_px": "95th percentile of the distance between both outlines, in pixels of the shrunk image.",
        "missed": "Share of the images with a lesion in which none is drawn.",
        "false_alarms": "Share of the images without a lesion in which one is drawn.",
    }


def _anywhere(masks: Masks) -> Floats:
    found: Floats = masks.reshape(len(masks), -1).max(axis=1).astype(np.float64)
    return found


def _mean(values: Floats, weights: Floats) -> float:
    known = ~np.isnan(values) & (weights > 0)
    return float(np.average(values[known], weights=weights[known])) if known.any() else float("nan")
