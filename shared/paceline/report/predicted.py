"""Predicted against actual: the section of the report that holds the run's predictions against what it took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paceline import terms
from paceline.report import format as fmt

INTERVALS = ((50, "p25_seconds", "p75_seconds"), (80, "p10_seconds", "p90_seconds"), (90, "p05_seconds", "p95_seconds"))
BASELINES = {
    "progress_bar": "rate so far × epochs",
    "first_epoch": "first epoch × epochs",
    "mean_step": "mean step × steps, nothing else",
}
KINDS = {
    "wall": "first",
    "second": "with more of the curve",
    "contended": "when other work wanted the cores",
    "revised": "when steps had become slower",
}


def sentences(record: Mapping[str, Any]) -> list[str]:
    """Return when the prediction was made, what the project's earlier ones were worth, and what a ceiling changed."""
    made = _first(record)
    if made is None:
        return []
    found = []
    if fmt.is_number(made.get("made_after_seconds")):
        found.append(f"The prediction was made {fmt.duration(made['made_after_seconds'])} into the run.")
    if ended := stop(record):
        found.append(ended)
    if budget := _budget(record):
        found.append(budget)
    history = _mapping(made.get("history"))
    if not history.get("runs"):
        found.append("It was the first of its kind in this project: no earlier outcome could correct it.")
        return found
    runs = history["runs"]
    if all(fmt.is_number(history.get(name)) for name in ("runs", "median_error", "bias", "inside_90")):
        side = "long" if history["bias"] > 0 else "short"
        found.append(
            f"Of the project's {runs} earlier predictions of this kind, half were off by less than "
            f"{fmt.share(history['median_error'])} (the middle one {fmt.share(abs(history['bias']))} too {side}), and "
            f"the 90 % interval held {fmt.share(history['inside_90'])}."
        )
    return found


def stop(record: Mapping[str, Any]) -> str:
    """Return when the training was predicted to end and when it did, in a sentence; empty where that says nothing.

    That is so without early stopping, after a ceiling ended the run, and where the prediction was of another training
    than the one whose course is in the record.
    """
    history, made = _mapping(record.get("history")), _first(record) or {}
    stopping, rows = _mapping(made.get("stopping")), history.get("rows") or []
    last, best = (rows[-1].get("step") if rows else None), history.get("best_step")
    if record.get("status") != "done" or _mapping(record.get("budget")).get("changed"):
        return ""
    if not stopping or made.get("stage") != history.get("stage") or not fmt.is_number(last):
        return ""
    unit = str(history.get("step_unit") or "step")
    early = str(history.get("stop_reason") or "").startswith("no better")
    kept = f", keeping that of {unit} {best:g}" if early and fmt.is_number(best) else ""
    if reason := stopping.get("abstains"):
        return (
            f"When early stopping would end it was not predicted, for {fmt.clip(str(reason), 200)}; it ended after "
            f"{unit} {last:g}{kept}."
        )
    end = _mapping(stopping.get("end"))
    known = [round(end[level]) for level in ("p10", "p50", "p90") if fmt.is_number(end.get(level))]
    if len(known) < 3 or known[0] == known[2]:
        return ""
    low, middle, high = known
    text = f"Training was predicted to end after {unit} {middle} (80 % interval {low} to {high})"
    middle_kept = _mapping(stopping.get("kept")).get("p50")
    if fmt.is_number(middle_kept) and kept:
        text += f" and to keep that of {unit} {round(middle_kept)}"
    inside = "inside" if low <= last <= high else "outside"
    return f"{text}; it ended after {unit} {last:g}, {inside} the interval{kept}."


def tables(record: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return phases, intervals, simpler rules and later predictions as rows; what a ceiling changed has no outcome."""
    made = _first(record)
    if made is None or record.get("status") != "done" or _mapping(record.get("budget")).get("changed"):
        return {}
    took = _wall(record)
    found = {"predicted_and_actual_by_phase": _phases(made, record)} if not record.get("earlier_sessions") else {}
    found["the_intervals"] = [
        {
            "interval": f"{level} %",
            "from": fmt.duration(made[low]),
            "to": fmt.duration(made[high]),
            "the run": "inside" if made[low] <= took <= made[high] else "outside",
        }
        for level, low, high in INTERVALS
        if fmt.is_number(made.get(low)) and fmt.is_number(made.get(high))
    ]
    rules = _mapping(made.get("baselines"))
    found["simpler_rules_at_the_same_moment"] = [
        {"rule": words, "says": fmt.duration(rules[name]), "off by": _off(rules[name], took)}
        for name, words in BASELINES.items()
        if fmt.is_number(rules.get(name))
    ]
    later = [each for each in record.get("predictions") or [] if fmt.is_number(each.get("p50_seconds"))]
    if len(later) > 1:
        found["predictions_of_this_run"] = [
            {
                "prediction": KINDS.get(str(each.get("kind")), fmt.label(str(each.get("kind")))),
                "after": fmt.duration(each.get("made_after_seconds")),
                "says": fmt.duration(each["p50_seconds"]),
                "off by": _off(each["p50_seconds"], took),
            }
            for each in later
        ]
    return {name: rows for name, rows in found.items() if rows}


def _phases(made: Mapping[str, Any], record: Mapping[str, Any]) -> list[dict[str, Any]]:
    predicted = _mapping(made.get("phases"))
    actual = terms.by_phase(record.get("phases") or {})
    rows = [
        {
            "phase": phase,
            "predicted": fmt.duration(predicted[phase]),
            "actual": fmt.duration(actual[phase]),
            "difference": f"{actual[phase] - predicted[phase]:+.1f} s",
        }
        for phase in terms.PHASES
        if fmt.is_number(predicted.get(phase)) and max(predicted[phase], actual[phase]) >= 0.005
    ]
    if rows and fmt.is_number(made.get("p50_seconds")):
        took, middle = _wall(record), made["p50_seconds"]
        rows.append(
            {
                "phase": "all",
                "predicted": fmt.duration(middle),
                "actual": fmt.duration(took),
                "difference": f"{took - middle:+.1f} s",
            }
        )
    return rows


def _budget(record: Mapping[str, Any]) -> str:
    budget = _mapping(record.get("budget"))
    if not fmt.is_number(budget.get("seconds")) or budget["seconds"] <= 0:
        return ""
    asked = fmt.clip(str(budget.get("asked") or "The time budget"), 120)
    used = fmt.share(_wall(record) / budget["seconds"])
    if not budget.get("changed"):
        return f"{asked}: the run fitted and was left as it was; it used {used}."
    return f"{asked}: training was ended to keep it, so no time was predicted for it in full; the run used {used}."


def _first(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    made = record.get("predictions") or []
    return next((each for each in made if fmt.is_number(each.get("p50_seconds"))), None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _wall(record: Mapping[str, Any]) -> float:
    earlier = sum(session.get("wall_seconds") or 0.0 for session in record.get("earlier_sessions") or [])
    return float(earlier + (record.get("wall_seconds") or 0.0))


def _off(seconds: float, took: float) -> str:
    return f"{100 * (seconds / took - 1):+.0f} %" if took > 0 else "-"
