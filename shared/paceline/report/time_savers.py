"""Time-savers as tables, charts and a sentence, from what `levers` found: plain rows, as the record has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from paceline.report import figure
from paceline.report import format as fmt

GAIN = "times as fast"
WHAT = {"throughput": "a pass over the data", "convergence": "the way to the same score"}  # by kind


def verdict(levers: Sequence[Mapping[str, Any]]) -> str:
    """Return in a sentence or two which levers are worth it: the best that is not in use, of each kind."""
    sentences = []
    for kind, what in WHAT.items():
        if found := best([each for each in levers if each["kind"] == kind]):
            risk = f" It may cost quality: {found['risk']}." if found["risk"] else ""
            name = f"{found['lever'][:1].upper()}{found['lever'][1:]}"
            sentences.append(f"{name}: {_settings(found)} makes {what} {interval(found['gain'])} times as fast.{risk}")
    return " ".join(sentences) or "None of the time-savers that are not in use yet gains for sure here."


def best(levers: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the lever not in use that gains most among those that gain for sure; None without one."""
    sure = [each for each in levers if not each["in_use"] and each["gain"] and (each["gain"]["low"] or 0) > 1]
    return max(sure, key=lambda each: float(each["gain"]["value"])) if sure else None


def named(found: Mapping[str, Any]) -> str:
    """Return a lever with its setting and its gain in a few words."""
    gain = f"{WHAT[found['kind']]} {interval(found['gain'])} times as fast"
    return f"{found['lever']}, {_settings(found)}: {gain}{', at some risk for quality' if found['risk'] else ''}"


def tables(levers: Sequence[Mapping[str, Any]], score: str) -> dict[str, list[dict[str, Any]]]:
    """Return a table of the throughput levers and one of the convergence levers, of those that were measured."""
    throughput = [
        {
            "lever": each["lever"],
            "a pass, " + GAIN: interval(each["gain"]),
            **_change(each, score),
            "setting": setting(each),
            "risk": each["risk"] or "none",
        }
        for each in levers
        if each["kind"] == "throughput" and each["gain"]
    ]
    convergence = [
        {
            "lever": each["lever"],
            "same score, " + GAIN: interval(each["gain"]) if each["gain"] else _never(each),
            "whole training": interval(each["training_gain"]),
            **_change(each, score),
            "setting": setting(each),
            "risk": each["risk"] or "none",
        }
        for each in levers
        if each["kind"] == "convergence" and each.get("training_gain")
    ]
    found = {"throughput_levers": throughput, "convergence_levers": convergence}
    return {name: rows for name, rows in found.items() if rows}


def unknown(levers: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the levers of which nothing is known, with the reason."""
    return [{"lever": each["lever"], "reason": each["reason"]} for each in levers if each["reason"]]


def setting(found: Mapping[str, Any]) -> str:
    """Return what a lever sets, as in config.toml, and whether it is in use."""
    return f"{_settings(found)} (in use)" if found["in_use"] else _settings(found)


def interval(gain: Mapping[str, Any] | None) -> str:
    """Return a gain with its interval: `1.42 (1.38 to 1.47)`."""
    if gain is None:
        return "-"
    text = fmt.number(gain["value"])
    if gain["low"] is None:
        return f"{text} ({gain['pairs']} {'pair' if gain['pairs'] == 1 else 'pairs'})"
    return f"{text} ({fmt.number(gain['low'])} to {fmt.number(gain['high'])})"


def charts(levers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a chart of the gains of each kind, where there are any."""
    found = []
    for kind, title in (
        ("throughput", "What makes a pass over the data faster"),
        ("convergence", "What gets to the same score sooner"),
    ):
        rows = [each for each in levers if each["kind"] == kind and each["gain"]]
        if rows:
            gains = [each["gain"] for each in rows]
            values = [gain["value"] for gain in gains]
            lows = [gain["value"] if gain["low"] is None else gain["low"] for gain in gains]
            highs = [gain["value"] if gain["high"] is None else gain["high"] for gain in gains]
            names = [f"{each['lever']}, in use" if each["in_use"] else each["lever"] for each in rows]
            found.append(
                figure.interval(
                    title,
                    [figure.series(GAIN, names, values, lows, highs)],
                    x_label="lever",
                    y_label=f"{GAIN} as without it",
                    lines=[{"name": "no change", "y": 1.0}],
                )
            )
    return found


def _change(found: Mapping[str, Any], score: str) -> dict[str, str]:
    """Return the change of the score, its range over the seeds after it; nothing where no training was made."""
    changes = found.get("score_changes")
    if not changes:
        return {f"change of {fmt.label(score)}": "-"}
    text = f"{found['score_change']:+.3f}"
    if len(changes) > 1:
        text += f" ({min(changes):+.3f} to {max(changes):+.3f})"
    return {f"change of {fmt.label(score)}": text}


def _settings(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {json.dumps(value)}" for key, value in found["settings"].items())


def _never(found: Mapping[str, Any]) -> str:
    return f"reached by {found['reached']} of {found['seeds']}"
