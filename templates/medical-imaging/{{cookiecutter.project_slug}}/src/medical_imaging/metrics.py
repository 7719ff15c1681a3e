"""What a classifier of images is judged by: ranking, operating point, calibration, by class, by site and by group.

Images of one patient are alike, so intervals draw whole patients (`paceline.intervals`); beside the bootstrap stands
DeLong's interval, which takes images as independent. Uncertain and missing labels judge nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paceline import calibrate, intervals
from paceline.ranking import Ranking

Floats = NDArray[np.float64]
FEW = 20  # images; a group with fewer says nothing


@dataclass(frozen=True)
class Judged:
    """Images with their labels and what a model says of them, all of one length.

    Attributes:
        truth: (rows, classes), 0 or 1, NaN where nobody knows.
        chances: (rows, classes), calibrated probabilities.
        patients: numbers, equal for images of one person.
        thresholds: by class, from which on it counts as found.
        classes: their names.
        exclusive: of several classes one is present.
    """

    truth: NDArray[np.float32]
    chances: Floats
    patients: NDArray[np.int64]
    thresholds: Floats
    classes: tuple[str, ...]
    exclusive: bool

    def part(self, rows: NDArray[Any]) -> Judged:
        """Return the same of some rows."""
        return Judged(
            self.truth[rows], self.chances[rows], self.patients[rows], self.thresholds, self.classes, self.exclusive
        )


def score(judged: Judged, *, resamples: int, seed: int, prefix: str = "") -> dict[str, Any]:
    """Return the metrics as the run record keeps them, `{name: {"value", "low", "high"}}`, means over the classes.

    `auroc`, `auprc`, `sensitivity` and `specificity` at the operating points, `brier`, `ece`, and `accuracy` where one
    class of several is present. The intervals are 95 % percentile intervals of a bootstrap over patients;
    `ece` has none.

    Args:
        judged: the evaluated images.
        resamples: of the bootstrap.
        seed: of it.
        prefix: of the names, such as `external_`.
    """
    columns = [_Column(judged, column) for column in range(len(judged.classes))]
    right = (judged.chances.argmax(axis=1) == np.nan_to_num(judged.truth).argmax(axis=1)).astype(np.float64)

    def statistics(weights: Floats) -> dict[str, float]:
        rows = [column.statistics(weights) for column in columns]
        means = {name: _mean([row[name] for row in rows]) for name in rows[0]}
        return means | ({"accuracy": float(np.average(right, weights=weights))} if judged.exclusive else {})

    found = intervals.bootstrap_many(statistics, judged.patients, resamples=resamples, seed=seed)
    states = {name: interval.state() for name, interval in found.items()}
    states["ece"] = {"value": states["ece"]["value"]}  # drawing rows twice raises it, beyond any interval of draws
    return {f"{prefix}{name}": state for name, state in states.items()}


def by_class(judged: Judged, *, resamples: int, seed: int) -> list[dict[str, Any]]:
    """Return a row a class: counts, AUROC (bootstrap over patients, and DeLong), AUPRC, the operating point."""
    rows = []
    for place, name in enumerate(judged.classes):
        column = _Column(judged, place)
        found = intervals.bootstrap_many(column.statistics, judged.patients, resamples=resamples, seed=seed)
        delong = intervals.auc(column.truth, column.chances)
        rows.append(
            {
                "class": name,
                "images": len(column.truth),
                "positives": int(column.truth.sum()),
                "threshold": float(judged.thresholds[place]),
                "auroc": found["auroc"].state(),
                "auroc_delong": delong.state(),
                **{key: found[key].state() for key in ("auprc", "sensitivity", "specificity", "brier")},
            }
        )
    return rows


def slices(
    judged: Judged, groups: Mapping[str, NDArray[Any]], *, resamples: int, seed: int
) -> list[dict[str, Any]]:  # fmt: skip
    """Return, for each value of each of `groups`, how many images there are and the quality there, with intervals.

    The AUROC is the mean over classes that are both present and absent there. Sensitivity and specificity count all
    classes together, each at its own operating point, with Wilson's interval: images of a patient are alike, so it is
    rather too narrow.
    """
    rows = []
    for column, values in groups.items():
        for value in sorted({str(each) for each in values} - {""}):
            part = judged.part(np.array([str(each) == value for each in values]))
            known = ~np.isnan(part.truth)
            found, present = part.chances >= part.thresholds, part.truth == 1
            hits, alarms = int((found & present & known).sum()), int((found & ~present & known).sum())
            positives, negatives = int((present & known).sum()), int((~present & known).sum())
            scores = score(part, resamples=resamples if len(part.patients) >= FEW else 0, seed=seed)
            rows.append(
                {
                    "slice": f"{column}={value}",
                    "images": len(part.patients),
                    "patients": len(np.unique(part.patients)),
                    "positives": positives,
                    "auroc": scores["auroc"],
                    "sensitivity": intervals.wilson(hits, positives).state(),
                    "specificity": intervals.wilson(negatives - alarms, negatives).state(),
                    "ece": {"value": scores["ece"]["value"]},
                }
            )
    return rows


def notes(*, exclusive: bool) -> dict[str, str]:
    """Return what the scores mean that a reader may not know."""
    found = {
        "auroc": "Mean over the classes of the area under the ROC curve; 0.5 is chance.",
        "auprc": "Mean over the classes of the average precision; chance is the share of positives.",
        "sensitivity": "Share of findings found at the operating points chosen on validation, mean over the classes.",
        "specificity": "Share of images without a finding that are left alone there, mean over the classes.",
        "brier": "Mean squared distance of the probability from what was so; 0 is best.",
        "pointing_game": "Share of lesions, test and external, in which the strongest place of the heat map lies.",
        "heat_on_letters": "Share of the heat map that lies on burned-in letters, of the class that they move most.",
        "letters_effect": "Mean change of a probability when burned-in letters are erased; 0 is best: none are read.",
        "ece": "Expected calibration error over 10 bins of equal mass; above 0 by chance alone.",
    }
    return found | ({"accuracy": "Share of images whose most probable class is the right one."} if exclusive else {})


class _Column:
    """One class of `judged`, its rows sorted once for any weights of the bootstrap."""

    def __init__(self, judged: Judged, column: int) -> None:
        self.known = ~np.isnan(judged.truth[:, column])
        self.truth = judged.truth[self.known, column].astype(np.int8)
        self.chances = judged.chances[self.known, column]
        self.found = self.chances >= judged.thresholds[column]
        self._ranking = Ranking(self.truth, self.chances) if len(self.truth) else None
        edges = np.unique(np.quantile(self.chances, np.linspace(0, 1, 11)[1:-1])) if len(self.truth) else np.zeros(0)
        self._bins = np.searchsorted(edges, self.chances, side="left")

    def statistics(self, all_weights: Floats) -> dict[str, float]:
        weights = all_weights[self.known]
        if self._ranking is None or not weights.sum():
            return dict.fromkeys(("auroc", "auprc", "sensitivity", "specificity", "brier", "ece"), float("nan"))
        present, absent = weights * self.truth, weights * (1 - self.truth)
        off = np.bincount(self._bins, weights * (self.chances - self.truth))
        return {
            "auroc": self._ranking.auc_roc(weights),
            "auprc": self._ranking.average_precision(weights),
            "sensitivity": _ratio(float(present @ self.found), float(present.sum())),
            "specificity": _ratio(float(absent @ ~self.found), float(absent.sum())),
            "brier": float(np.average((self.chances - self.truth) ** 2, weights=weights)),
            "ece": float(np.abs(off).sum() / weights.sum()),
        }


def reliability(judged: Judged) -> list[calibrate.Bin]:
    """Return what was observed where what was predicted, all classes together."""
    known = ~np.isnan(judged.truth)
    return calibrate.reliability(judged.truth[known].astype(np.int8), judged.chances[known], bins=10)


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
