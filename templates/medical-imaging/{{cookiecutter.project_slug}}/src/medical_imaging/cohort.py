"""What a model learns from and is judged by: images, labels, and who and where they are of."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Task = Literal["multilabel", "multiclass", "segmentation"]
LESION = "lesion"  # the one class where masks alone tell what is there


@dataclass(frozen=True)
class Cohort:
    """Images and what is known of them, one row an image.

    Attributes:
        images: (rows, size, size, channels), from 0 to 255 after windowing; a memory map of the cache.
        labels: (rows, classes): 1 present, 0 absent, -1 uncertain, NaN not given; of several classes one is 1.
        classes: the labels' names.
        patients: dense numbers, equal for images of one person; never an id.
        items: salted ids, by which an image may be named.
        task: what is predicted.
        sites: where each was taken; None where the data do not say, as for the rest.
        sex: `F`, `M`, or empty.
        age_years: NaN where unknown.
        view: such as PA or AP.
        masks: (rows, size, size), 1 in the lesion.
        lesions: (rows, size, size), which class's lesion lies there: its number in `classes` from 1, 255 where the
            data do not tell, 0 outside.
        has_mask: whether a mask is given, which may be empty.
        official: `train`, `validation` or `test`, where the data bring their split.
    """

    images: NDArray[Any]
    labels: NDArray[np.float32]
    classes: tuple[str, ...]
    patients: NDArray[np.int64]
    items: tuple[str, ...]
    task: Task
    sites: NDArray[np.object_] | None = None
    sex: NDArray[np.object_] | None = None
    age_years: NDArray[np.float64] | None = None
    view: NDArray[np.object_] | None = None
    masks: NDArray[np.uint8] | None = None
    lesions: NDArray[np.uint8] | None = None
    has_mask: NDArray[np.bool_] | None = None
    official: NDArray[np.object_] | None = None


@dataclass(frozen=True)
class Split:
    """Rows of a cohort by their use; no patient is in two parts.

    Attributes:
        train: what the weights are learned from.
        validation: what stops training early, calibrates, and sets the operating point.
        test: what is looked at once, at the end.
        external: of a site that none of the others has seen; may be empty.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    external: NDArray[np.int64]


def rows_of(cohort: Cohort, rows: Rows) -> Cohort:
    """Return the cohort with these rows alone."""
    changes: dict[str, Any] = {"items": tuple(cohort.items[row] for row in rows)}
    for field in fields(cohort):
        if isinstance(value := getattr(cohort, field.name), np.ndarray):
            changes[field.name] = np.asarray(value[rows])
    return replace(cohort, **changes)
