"""A command's answer as a person reads it in a terminal; `--json` gives the same answer to programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paceline import estimate
from paceline.report import format as fmt

PATHS = ("run", "report", "sheet", "output")  # shown last, where the eye falls


def answer(values: Mapping[str, Any]) -> str:
    """Return the lines for an answer: scores and slices as tables, other facts a line each, paths at the end.

    Its `warnings` are left out, for they are on standard error.

    >>> print(answer({"run": "runs/1", "status": "done", "wall_seconds": 83.2}))
    status    done
    wall time 1 min 23 s
    run       runs/1
    """
    if "p50_seconds" in values:
        return "\n".join(_prediction(values))
    facts: dict[str, str] = {}
    blocks: list[str] = []
    for key, value in values.items():
        if key == "scores" and isinstance(value, Mapping):
            blocks.append(_scores(value))
        elif _is_table(value):
            blocks.append(_table(value))
        elif key.endswith("_seconds"):
            facts[fmt.label(key.replace("_seconds", "_time"))] = fmt.duration(value)
        elif key not in (*PATHS, "warnings") and value not in (None, "", [], {}):
            facts[fmt.label(key)] = _text(value)
    facts |= {fmt.label(key): str(values[key]) for key in PATHS if values.get(key)}
    width = max((len(name) for name in facts), default=0)
    return "\n".join([*blocks, *(f"{name:{width}} {text}" for name, text in facts.items())])


def _prediction(made: Mapping[str, Any]) -> list[str]:
    """Return how long a run will take: the intervals, what takes the time, how far simpler rules and the past are off.

    Hash, terms and the seconds before correction are for programs.
    """
    facts = {"whole run": fmt.duration(made["p50_seconds"])}
    for level, low, high in ((50, 25, 75), (80, 10, 90), (90, 5, 95)):
        ends = [fmt.duration(made[f"p{each:02}_seconds"]) for each in (low, high)]
        facts[f"{level} % interval"] = " to ".join(ends)
    facts |= {f"  {name}": fmt.duration(seconds) for name, seconds in made["phases"].items() if seconds}
    facts |= {f"by {fmt.label(name)}": fmt.duration(seconds) for name, seconds in made["baselines"].items()}
    facts |= {"stops": estimate.stopping_words(made["stopping"])} if made["stopping"] else {}
    facts |= {"target": estimate.target_words(made["target"])} if made["target"] else {}
    if runs := made["history"]["runs"]:
        error = fmt.share(made["history"]["median_error"])
        facts["earlier predictions"] = f"{runs} of this kind, half of them within {error}"
    width = max(len(name) for name in facts)
    tables = [_table(made["what_if"]), made["prices"], ""] if made.get("what_if") else []
    return [*tables, *(f"{name:{width}} {text}" for name, text in facts.items())]


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _scores(scores: Mapping[str, Any]) -> str:
    rows = []
    for name, score in scores.items():
        floor = score.get("floor")
        row = {"score": fmt.label(name), "value": fmt.number(score["value"]), "95 % interval": _interval(score)}
        rows.append(row | ({"floor": fmt.number(floor["value"])} if floor else {}))
    return _table(rows)


def _table(rows: list[Any]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[fmt.label(column) for column in columns]] + [[_text(row.get(key, "")) for key in columns] for row in rows]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([*lines, ""])


def _text(value: Any) -> str:
    if isinstance(value, Mapping) and "value" in value:
        return f"{fmt.number(value['value'])} {_interval(value)}".rstrip()
    if isinstance(value, Mapping):
        shown = {key: item for key, item in value.items() if item not in ({}, []) and not _is_table(item)}
        return ", ".join(f"{fmt.label(str(key))} {_text(item)}" for key, item in shown.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return " to ".join(_text(item) for item in value) if len(value) == 2 else f"{len(value)} values"
    return fmt.number(value) if fmt.is_number(value) else str(value)


def _interval(score: Mapping[str, Any]) -> str:
    low, high = score.get("low"), score.get("high")
    if not (fmt.is_number(low) and fmt.is_number(high)):
        return ""
    return f"({fmt.number(low)} to {fmt.number(high)})"
