"""From a score to an alert: a calibrated probability, and the threshold that suits the team's costs or hands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraud_detection.config import Report
from fraud_detection.examples import Examples
from paceline import calibrate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Decision:
    """How a model's logits become probabilities and alerts; chosen on a slice of time that the model has not seen.

    Attributes:
        calibration: from logits to probabilities whose mean matches the prevalence.
        rule: what the threshold was chosen by.
        threshold: the probability from which on a transaction is an alert; above 1, nothing is.
    """

    calibration: calibrate.Sigmoid
    rule: Literal["cost", "alert_budget", "max_fpr"]
    threshold: float

    def probabilities(self, logits: Floats) -> Floats:
        """Return the calibrated probability of fraud for each logit."""
        return self.calibration.apply(logits)

    def state(self) -> dict[str, Any]:
        """Return the decision as JSON types, for the run record."""
        return {
            "decision": {"rule": self.rule, "threshold": self.threshold},
            "calibration": self.calibration.state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Decision:
        """Return the decision that `state` holds."""
        decision = state["decision"]
        found = state["calibration"]
        calibration = calibrate.Sigmoid(float(found["slope"]), float(found["offset"]))
        return cls(calibration, decision["rule"], float(decision["threshold"]))


def decide(config: Report, logits: Floats, examples: Examples) -> Decision:
    """Return the decision that suits `config`, from the logits of transactions whose labels are known.

    They are later than those the model was trained on and earlier than those it will decide about.
    """
    calibration = calibrate.fit_sigmoid(examples.y, logits)
    return Decision(calibration, config.threshold, choose_threshold(config, calibration.apply(logits), examples))


def carry_over(decision: Decision, before: Floats, after: Floats) -> Decision:
    """Return `decision` for the model trained again, whose logits need not lie where those of the earlier one did.

    Both models score the same transactions, of the days whose labels are still to come: neither has learned from them.
    The calibration is moved and stretched so that mean and spread agree there; without it a small shift of the logits
    could make everything an alert, or nothing. With fewer than two such transactions the decision stays as it is.

    Args:
        decision: chosen for the earlier model.
        before: logits by the earlier model.
        after: logits of the same transactions by the model trained again.
    """
    if len(before) < 2:
        return decision
    stretch = float(before.std() / after.std()) if after.std() > 0 else 1.0
    slope, offset = decision.calibration.slope, decision.calibration.offset
    moved = calibrate.Sigmoid(slope * stretch, offset + slope * float(before.mean() - stretch * after.mean()))
    return replace(decision, calibration=moved)


def choose_threshold(config: Report, probabilities: Floats, examples: Examples) -> float:
    """Return the probability from which on a transaction is an alert.

    `cost` minimises missed amounts plus reviews; `alert_budget` alerts as many cards a day as can be called;
    `max_fpr` stops at most that share of the genuine transactions.
    """
    candidates = np.unique(probabilities)[::-1]
    nothing = float(np.nextafter(max(1.0, candidates[0]), 2.0))
    order = np.argsort(-probabilities, kind="stable")
    fraud = examples.y[order]
    last = np.searchsorted(-probabilities[order], -candidates, side="right") - 1  # the last alert at each candidate
    if config.threshold == "cost":
        missed = examples.amounts @ examples.y - np.cumsum(examples.amounts[order] * fraud)[last]
        cost = missed + config.review_cost * (last + 1)
        best = int(np.argmin(cost))
        return float(candidates[best]) if cost[best] < examples.amounts @ examples.y else nothing
    if config.threshold == "max_fpr":
        stopped = np.cumsum(1 - fraud.astype(np.int64))[last]
        limit = config.max_fpr * float((examples.y == 0).sum())
    else:
        cards = pl.DataFrame({"day": examples.days, "card": examples.customers, "p": probabilities})
        highest = np.sort(cards.group_by("day", "card").agg(pl.col("p").max())["p"].to_numpy())
        stopped = len(highest) - np.searchsorted(highest, candidates, side="left")
        limit = float(config.alert_budget_per_day * examples.days.n_unique())
    allowed = int(np.searchsorted(stopped, limit, side="right"))
    return float(candidates[allowed - 1]) if allowed else nothing
