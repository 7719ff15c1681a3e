"""What a reader must know before trusting a run's figures: sentences for the warnings of the record and the report."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud_detection.boosted import Boosted
from fraud_detection.decisions import Decision
from fraud_detection.examples import Examples
from fraud_detection.model import Trained

FEW_FRAUDS = 50  # fewer leave every figure to chance: the interval of a recall of one half is then 0.28 wide
MANY_ALERTS = 0.1  # share of transactions; no team reviews more


def about(
    decision: Decision,
    model: Trained,
    decided_on: Examples,
    judged: Examples,
    probabilities: NDArray[np.float64],
    scores: dict[str, Any],
) -> list[str]:
    """Return the doubts about a run, none where all is well.

    Args:
        decision: calibration and threshold.
        model: the final model.
        decided_on: the validation days.
        judged: the test days.
        probabilities: of fraud on the test days.
        scores: as in the run record, each with its `floor`.
    """
    doubts = []
    for name, part in (("validation", decided_on), ("test", judged)):
        if part.y.sum() < FEW_FRAUDS:
            doubts.append(f"The {name} days hold {part.y.sum()} frauds: the figures are left to chance.")
    if isinstance(model, Boosted) and model.steps == 1:
        doubts.append("The first tree was the best: the features say little about fraud, or the validation days do.")
    alerts = float((probabilities >= decision.threshold).mean())
    if not alerts:
        why = "alerting on nothing was cheapest on the validation days" if decision.threshold > 1 else "none reaches it"
        doubts.append(f"The threshold {decision.threshold:.3g} alerts on no transaction of the test days: {why}.")
    if alerts > MANY_ALERTS:
        doubts.append(f"The threshold {decision.threshold:.3g} alerts on {alerts:.0%} of the transactions.")
    precision, savings = scores["average_precision"], scores["savings"]["value"]
    if precision["value"] < precision["floor"]["value"]:
        doubts.append("Its average precision is below that of logistic regression, the floor.")
    if savings < 0 and alerts:
        doubts.append(f"The alerts cost more than they save: savings of {savings:.0%} of the fraud amount.")
    return doubts
