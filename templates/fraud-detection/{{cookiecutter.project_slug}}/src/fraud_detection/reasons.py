"""Why a transaction is an alert, in words a case worker understands: at most three reasons, the weightiest first.

A model says how much each feature moved a transaction's log-odds of fraud (`contributions` of each model says how).
Windows of one feature (1, 7, 30 days) say nearly the same, so their parts are added and one reason speaks for them,
about the window that weighs most. Only what raised the score is a reason. A reason is no cause: it says what the model
looked at, not what happened.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fraud_detection.extras import Encoding
from fraud_detection.formats import EXTRA
from paceline.report import format as fmt

Floats = NDArray[np.float64]

MOST = 3  # reasons of an alert
PLAIN = Encoding({}, {})  # no further columns
_WINDOW = re.compile(r"_(\d+)d$")


def explain(
    names: Sequence[str], X: NDArray[np.float32], contributions: Floats, extras: Encoding = PLAIN
) -> list[list[str]]:
    """Return the reasons of each row, at most `MOST`, the weightiest first.

    Args:
        names: of the features, as `features.names` gives them; others are named with their value.
        X: the features, shape (rows, features).
        contributions: what each feature added to the log-odds, of the same shape.
        extras: how further columns became numbers, to name what they were.

    >>> names = ["amount_ratio_1d", "amount_ratio_30d", "during_night"]
    >>> X = np.array([[1.0, 6.2, 0.0]], dtype=np.float32)
    >>> explain(names, X, np.array([[0.1, 1.5, -0.2]]))
    [["amount is 6.2 times this card's 30-day mean"]]
    """
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        groups.setdefault(_WINDOW.sub("", name), []).append(place)
    sums = np.stack([contributions[:, places].sum(axis=1) for places in groups.values()], axis=1)
    members = list(groups.values())
    reasons = []
    for row in range(len(X)):
        values = dict(zip(names, map(float, X[row]), strict=True))
        leading = [group for group in np.argsort(-sums[row], kind="stable")[:MOST] if sums[row, group] > 0]
        reasons.append(
            [
                describe(names[max(members[group], key=lambda place: float(contributions[row, place]))], values, extras)
                for group in leading
            ]
        )
    return reasons


def describe(name: str, values: dict[str, float], extras: Encoding = PLAIN) -> str:
    """Return what the feature `name` says of a transaction, given all its features and how further columns are coded.

    >>> describe("terminal_risk_7d", {"terminal_risk_7d": 1 / 3, "terminal_count_7d": 9.0})
    '3 of the 9 labels that arrived for this terminal within 7 days were fraud'
    """
    value, found = values[name], _WINDOW.search(name)
    days = int(found.group(1)) if found else 0
    within = f"within {days} days" if days > 1 else "within a day"
    match _WINDOW.sub("", name):
        case "amount":
            return f"amount is {value:,.2f}"
        case "amount_ratio":
            return f"amount is {fmt.number(value, 2)} times this card's {days}-day mean"
        case "customer_count":
            return f"{_count(value, 'transaction')} of this card {within}"
        case "customer_mean_amount":
            return f"this card's mean amount {within} is {value:,.2f}"
        case "terminal_count":
            return f"{_count(value, 'label')} arrived for this terminal {within}"
        case "terminal_risk" if f"terminal_count_{days}d" in values:
            labels = values[f"terminal_count_{days}d"]
            frauds = round(value * labels)
            if not labels:
                return f"no label arrived for this terminal {within}"
            if labels == 1:
                return f"the one label that arrived for this terminal {within} was {'' if frauds else 'not '}fraud"
            return f"{frauds} of the {labels:.0f} labels that arrived for this terminal {within} were fraud"
        case "device_age_days":
            return _device(value)
        case "device_count":
            return f"{_count(value, 'payment')} by this device {within}, on any card"
        case "amount_to_max":
            return f"amount is {fmt.number(value, 2)} times this card's largest of {days} days before"
        case "during_night":
            return "it is night, before 07:00 UTC" if value else "it is not night (before 07:00 UTC)"
        case "during_weekend":
            return "it is a weekend" if value else "it is a working day"
    return f"{fmt.label(name.removeprefix(EXTRA))} is {_further(name, value, extras)}"


def _further(name: str, value: float, extras: Encoding) -> str:
    """Return what stood in the data for a further feature."""
    if name in extras.categories:
        return extras.categories[name][round(value) - 1] if value else "unknown"
    if name in extras.missing and value == np.float32(extras.missing[name]):
        return "missing"
    return fmt.number(value)


def _device(age_days: float) -> str:
    if age_days < 0:
        return "no device: the card itself was there"
    return (
        "the card's first payment with this device"
        if age_days == 0
        else (f"the card has used this device for {fmt.number(age_days, 2)} days")
    )


def _count(value: float, noun: str) -> str:
    return f"{value:.0f} {noun}{'' if value == 1 else 's'}" if value else f"no {noun}"
