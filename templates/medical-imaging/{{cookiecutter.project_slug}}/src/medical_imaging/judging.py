"""A model's answers on the test and at the external site, scored: the same in training and in `evaluate`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_imaging import groups, metrics, targets
from medical_imaging.cohort import Cohort, Split
from medical_imaging.config import Report
from medical_imaging.decisions import Decision
from medical_imaging.metrics import Judged


def judge(cohort: Cohort, rows: NDArray[np.int64], decision: Decision, logits: NDArray[np.float64]) -> Judged:
    """Return some rows of `cohort` with the probabilities that `decision` makes of the logits of all rows."""
    return Judged(
        targets.to_judge(cohort.labels[rows]),
        decision.probabilities(logits[rows]),
        cohort.patients[rows],
        np.asarray(decision.thresholds),
        cohort.classes,
        decision.exclusive,
    )


def scores(
    cohort: Cohort, split: Split, decision: Decision, logits: NDArray[np.float64], config: Report, *, seed: int
) -> dict[str, Any]:
    """Return the scores of the test and, as `external_...`, of the external site, as the run record keeps them."""
    found: dict[str, Any] = {}
    for prefix, rows in (("", split.test), ("external_", split.external)):
        if len(rows):
            judged = judge(cohort, rows, decision, logits)
            found |= metrics.score(judged, resamples=config.resamples, seed=seed, prefix=prefix)
    return found


def slices(
    cohort: Cohort, split: Split, decision: Decision, logits: NDArray[np.float64], config: Report, *, seed: int
) -> list[dict[str, Any]]:
    """Return the scores by site, sex, age and view of the test, and, as `external ...`, apart of the external site."""
    found = []
    for rows, by in groups.by_part(cohort, split):
        judged = judge(cohort, rows, decision, logits)
        found += metrics.slices(judged, by, resamples=config.resamples, seed=seed)
    return found
