"""What became of the project's earlier predictions, and how the next one is corrected by that.

Split-conformal intervals (Vovk et al. 2005; locally weighted: Lei et al. 2018): the error of a prediction is the
logarithm of actual over predicted time, in units of the interval that was computed before any correction. Once a kind
of run (engine × device) has 20 of them, their quantiles take the place of the computed ones. A prediction is hashed
when it is made, before its outcome; one that was changed later does not count.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paceline.terms import LEDGER

LEAST_RECORDS = 20
MOST_RECORDS = 100  # the newest; older ones tell of another machine, or of another code
NEWEST = 5  # runs that tell how long the part after training takes
MOST_TIMES = 10.0  # as long as computed, or as short
LEAST_SPREAD, ONE_RUN_SPREAD = 0.08, 0.25  # relative, between runs; of a single one it is not known
LEVELS = (5, 10, 25, 50, 75, 90, 95)  # percent


@dataclass(frozen=True)
class Outcome:
    """One prediction and what became of it.

    Attributes:
        computed: the computed seconds at each of `LEVELS`, before any correction.
        predicted: the seconds that were shown.
        actual_seconds: how long the run took.
    """

    computed: Mapping[int, float]
    predicted: Mapping[int, float]
    actual_seconds: float

    @property
    def error(self) -> float:
        """The signed relative error of the median shown: 0.1 is a tenth too long."""
        return self.predicted[50] / self.actual_seconds - 1

    def inside(self, level: int) -> bool:
        """Whether the actual time lies in the shown interval of `level` percent."""
        tail = (100 - level) // 2
        return self.predicted[tail] <= self.actual_seconds <= self.predicted[100 - tail]

    def surprise(self) -> float:
        """Return the error in units of half the computed 90 % interval, both on a logarithmic scale."""
        half = max(0.5 * math.log(self.computed[95] / self.computed[5]), 1e-3)
        return math.log(self.actual_seconds / self.computed[50]) / half


def seal(prediction: Mapping[str, Any]) -> dict[str, Any]:
    """Return the prediction with the SHA-256 of its content, which tells later whether it is as it was made."""
    content = {key: value for key, value in prediction.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return {**content, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def is_sealed(prediction: Mapping[str, Any]) -> bool:
    """Return whether the prediction is as it was made."""
    return bool(seal(prediction)["sha256"] == prediction.get("sha256"))


def outcome(record: Mapping[str, Any], kind: str = "") -> Outcome | None:
    """Return the first prediction of a run and its outcome; None where they say nothing about each other.

    That is so for a run that did not end as configured: failed, stopped, resumed, cut by a time budget, of another
    `kind` where one is named, or with a prediction that was changed.
    """
    made = next((each for each in record.get("predictions") or [] if each.get("kind") == "wall"), None)
    if made is None or record.get("status") != "done" or record.get("earlier_sessions"):
        return None
    if (kind and made.get("of") != kind) or (record.get("budget") or {}).get("changed") or not is_sealed(made):
        return None
    predicted = {level: float(made[f"p{level:02}_seconds"]) for level in LEVELS}
    computed = {level: float(made["computed"][f"p{level:02}_seconds"]) for level in LEVELS}
    return Outcome(computed, predicted, float(record["wall_seconds"]))


def of_runs(runs_folder: Path, kind: str) -> list[Outcome]:
    """Return the outcomes of the newest runs of `kind` below `runs_folder`; what cannot be read does not count."""
    found: list[Outcome] = []
    for record in records(runs_folder):
        try:
            one = outcome(record, kind)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
        if one is not None and one.actual_seconds > 0:
            found.append(one)
    return found


def records(runs_folder: Path) -> list[dict[str, Any]]:
    """Return the records of the newest runs below `runs_folder`, the newest first."""
    found = []
    for path in sorted(runs_folder.glob("*/run.json"), reverse=True)[:MOST_RECORDS]:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(record, dict):
            found.append(record)
    return found


def after_training(
    found: Sequence[Mapping[str, Any]], model: Mapping[str, Any], hardware: Mapping[str, Any]
) -> tuple[float, float] | None:
    """Return how many times as long as computed the part after training took in the newest runs, and its error.

    Args:
        found: records, the newest first; those of another model or machine do not count.
        model: the section of the configuration.
        hardware: of this machine; its processor and cores count.

    Returns:
        The median of the last `NEWEST` ratios, and the relative spread between runs; None where there is no such run.
    """
    ratios = []
    for record in found:
        try:
            alike = record["config"]["model"] == model and all(
                record["hardware"][name] == hardware[name] for name in ("cpu", "cores")
            )
            if not alike or record["status"] != "done" or record["earlier_sessions"]:
                continue
            made = record["predictions"][0]
            before = made["phases"]["finalise"] - made["terms"]["finalise_seconds"]  # scores of the floor, say
            took = sum(record["phases"].get(name, 0.0) for name in LEDGER["finalise"]) - before
            ratios.append(min(max(took / made["finalise_computed_seconds"], 1 / MOST_TIMES), MOST_TIMES))
        except (KeyError, IndexError, TypeError, ZeroDivisionError):
            continue
        if len(ratios) == NEWEST:
            break
    if not ratios:
        return None
    logs = sorted(math.log(ratio) for ratio in ratios)
    spread = statistics.stdev(logs) if len(logs) > 1 else 0.0
    return math.exp(statistics.median(logs)), max(LEAST_SPREAD, spread, ONE_RUN_SPREAD / len(logs))


def corrected(computed: Mapping[int, float], outcomes: Sequence[Outcome]) -> dict[int, float]:
    """Return the seconds at each level, corrected by `outcomes` where there are enough of them.

    With n outcomes the quantile of level q is the ⌈(n + 1) q⌉-th smallest surprise (below the median, mirrored), which
    covers at least what it promises where the next run is exchangeable with them.

    >>> corrected({5: 8.0, 50: 10.0, 95: 13.0}, [])
    {5: 8.0, 50: 10.0, 95: 13.0}
    """
    if len(outcomes) < LEAST_RECORDS:
        return dict(computed)
    surprises = sorted(each.surprise() for each in outcomes)
    half = max(0.5 * math.log(computed[95] / computed[5]), 1e-3)
    n = len(surprises)
    found = {}
    for level in computed:
        above = max(level, 100 - level)
        place = min(n, math.ceil((n + 1) * above / 100))
        if level == 50:
            middle = 0.5 * (surprises[(n - 1) // 2] + surprises[n // 2])
            found[level] = computed[50] * math.exp(half * middle)
        else:
            rank = place if level > 50 else n + 1 - place
            found[level] = computed[50] * math.exp(half * surprises[rank - 1])
    return found


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return how good the predictions were: how many, median and 90th-percentile error, bias, coverage."""
    if not outcomes:
        return {"runs": 0}
    sizes = sorted(abs(each.error) for each in outcomes)
    signed = sorted(each.error for each in outcomes)
    return {
        "runs": len(outcomes),
        "median_error": _quantile(sizes, 0.5),
        "p90_error": _quantile(sizes, 0.9),
        "bias": _quantile(signed, 0.5),
        "inside_80": sum(each.inside(80) for each in outcomes) / len(outcomes),
        "inside_90": sum(each.inside(90) for each in outcomes) / len(outcomes),
    }


def _quantile(ordered: Sequence[float], share: float) -> float:
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])
