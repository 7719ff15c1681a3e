"""From logits to probabilities that mean what they say, and from these to findings: calibration, operating points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_imaging.config import Report
from paceline import calibrate

Floats = NDArray[np.float64]
UNDECIDED = 0.5  # the threshold of a class that validation shows only present, or only absent


@dataclass(frozen=True)
class Decision:
    """How logits become probabilities and findings; chosen on validation, which training has only watched.

    Attributes:
        exclusive: of several classes one is present.
        offsets: what class weights added to each logit in training, taken off again.
        temperatures: what the logits are divided by (Guo et al. 2017): one a class, or one for all exclusive ones.
        rule: what the thresholds were chosen by.
        thresholds: the probability from which on a class counts as found.
    """

    exclusive: bool
    offsets: tuple[float, ...]
    temperatures: tuple[float, ...]
    rule: str
    thresholds: tuple[float, ...]

    def probabilities(self, logits: Floats) -> Floats:
        """Return calibrated probabilities for logits (rows, classes)."""
        scaled = (logits - np.asarray(self.offsets)) / np.asarray(self.temperatures)
        return _chances(scaled, self.exclusive)

    def uncalibrated(self, logits: Floats) -> Floats:
        """Return what the network itself says, to show what calibration changes."""
        return _chances(logits, self.exclusive)

    def state(self) -> dict[str, Any]:
        """Return the decision as JSON types, for the run record."""
        return {
            "decision": {"rule": self.rule, "thresholds": list(self.thresholds)},
            "calibration": {
                "method": "temperature",
                "exclusive": self.exclusive,
                "offsets": list(self.offsets),
                "temperatures": list(self.temperatures),
            },
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Decision:
        """Return the decision that `state` holds."""
        found, chosen = state["calibration"], state["decision"]
        return cls(
            bool(found["exclusive"]),
            tuple(map(float, found["offsets"])),
            tuple(map(float, found["temperatures"])),
            str(chosen["rule"]),
            tuple(map(float, chosen["thresholds"])),
        )


def decide(config: Report, logits: Floats, truth: NDArray[np.float32], offsets: Floats, *, exclusive: bool) -> Decision:
    """Return the decision that suits `config`, from validation.

    Args:
        config: the operating point.
        logits: (rows, classes).
        truth: 0, 1, or NaN where nobody knows.
        offsets: logarithms of the class weights of training, 0 where there were none.
        exclusive: of several classes one is present.
    """
    shifted = logits - offsets
    if exclusive:
        temperatures = [calibrate.fit_temperature(truth.argmax(axis=1), shifted).temperature]
    else:
        temperatures = [_temperature(shifted[:, column], truth[:, column]) for column in range(truth.shape[1])]
    made = Decision(exclusive, tuple(offsets.tolist()), tuple(temperatures), rule_text(config), ())
    chances = made.probabilities(logits)
    thresholds = tuple(threshold(config, chances[:, column], truth[:, column]) for column in range(truth.shape[1]))
    return replace(made, thresholds=thresholds)


def threshold(config: Report, chances: Floats, truth: NDArray[np.float32]) -> float:
    """Return the probability from which on a class counts as found.

    `sensitivity` takes the highest that finds `at_least` of the positives, `specificity` the lowest that leaves
    `at_least` of the negatives alone, `youden` the one with the largest sum of both.
    """
    positives, negatives = np.sort(chances[truth == 1]), np.sort(chances[truth == 0])
    if not len(positives) or not len(negatives):
        return UNDECIDED
    candidates = np.unique(np.concatenate([positives, negatives]))
    sensitivity = 1 - np.searchsorted(positives, candidates, side="left") / len(positives)
    specificity = np.searchsorted(negatives, candidates, side="left") / len(negatives)
    if config.operating_point == "sensitivity":
        return float(candidates[sensitivity >= config.at_least - 1e-12][-1])
    if config.operating_point == "youden":
        return float(candidates[np.argmax(sensitivity + specificity)])
    allowed = candidates[specificity >= config.at_least - 1e-12]
    return float(allowed[0]) if len(allowed) else float(np.nextafter(candidates[-1], 2.0))


def rule_text(config: Report) -> str:
    """Return the rule in words."""
    if config.operating_point == "youden":
        return "the largest sum of sensitivity and specificity on validation"
    return f"{config.operating_point} of at least {config.at_least:g} on validation"


def _temperature(logits: Floats, truth: NDArray[np.float32]) -> float:
    """Return the temperature of one class's sigmoid, which is the softmax of its logit beside 0."""
    known = ~np.isnan(truth)
    labels = truth[known].astype(np.int64)
    if not 0 < labels.sum() < len(labels):
        return 1.0
    pairs = np.stack([np.zeros(len(labels)), logits[known]], axis=1)
    return calibrate.fit_temperature(labels, pairs).temperature


def _chances(logits: Floats, exclusive: bool) -> Floats:
    if exclusive:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Floats = powers / powers.sum(axis=1, keepdims=True)
        return shares
    chances: Floats = np.where(logits >= 0, 1, np.exp(-np.abs(logits))) / (1 + np.exp(-np.abs(logits)))
    return chances
