"""What each section of the report says, computed from the run record: texts and rows, no markup."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from paceline import atomic
from paceline.redact import redact
from paceline.report import format as fmt

_LONGEST = 400  # characters of a value in a table
_MOST_WARNINGS = 50
_MOST_COLUMNS = 4  # of a table with a column for each property; with more, and few rows, it is turned
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def prepare(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record as the sections read it: JSON types, secrets hidden, parts of a wrong type left out.

    A report is also made of a run that failed, and of a record that somebody edited.
    """
    known: dict[str, Any] = redact(atomic.plain(dict(record)))
    for key in (
        "config",
        "device",
        "hardware",
        "software",
        "dataset",
        "model",
        "phases",
        "spans",
        "history",
        "scores",
        "training",
        "benchmarks",
        "step_times",
        "study",
        "data_sizes",
    ):
        known[key] = known[key] if isinstance(known.get(key), dict) else {}
    for key in ("slices", "predictions", "figures", "warnings", "earlier_sessions", "levers", "what_if"):
        known[key] = known[key] if isinstance(known.get(key), list) else []
    for key in ("slices", "predictions", "figures", "earlier_sessions", "levers", "what_if"):
        known[key] = [item for item in known[key] if isinstance(item, dict)]
    for key in ("phases", "spans"):
        known[key] = {name: seconds for name, seconds in known[key].items() if fmt.is_number(seconds)}
    for timed in (known, *known["earlier_sessions"]):
        timed["wall_seconds"] = timed["wall_seconds"] if fmt.is_number(timed.get("wall_seconds")) else 0.0
    rows = known["history"].get("rows")
    known["history"]["rows"] = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return known


def wall_seconds(record: Mapping[str, Any]) -> float:
    """Return the wall time of the run over all its sessions."""
    earlier = sum(session.get("wall_seconds") or 0.0 for session in record.get("earlier_sessions") or [])
    return float(earlier + (record.get("wall_seconds") or 0.0))


def headline(record: Mapping[str, Any]) -> str:
    """Return the verdict's first sentence: what became of the run, how long it took, how good it is."""
    took = fmt.duration(wall_seconds(record))
    status = record.get("status")
    if status == "failed":
        return f"Failed after {took}."
    if status == "stopped":
        return f"Stopped early, after {took}."
    if status != "done":
        return f"Not finished: {took} known of a run that was never closed."
    name, score = leading_score(record)
    good = f": {fmt.label(name)} {score_text(score['value'])}" if score else ""
    return f"Done in {took}{good}."


def verdict(record: Mapping[str, Any]) -> list[str]:
    """Return the sentences under the headline: when, as predicted or not, the largest share, how good."""
    status, sentences = record.get("status"), []
    if status in ("failed", "stopped") and record.get("error"):
        sentences.append(_sentence(fmt.clip(str(record["error"]), 600)))
    sessions = len(record.get("earlier_sessions") or []) + 1
    span = f" in {sessions} sessions" if sessions > 1 else ""
    if status in ("done", "failed", "stopped"):
        ended = {"done": "Finished", "failed": "It failed", "stopped": "It stopped"}[status]
        sentences.append(f"{ended} on {finished_at(record)}{span}.")
    else:
        sentences.append(
            f"It began on {fmt.moment(record.get('started_at'))}{span} and is either still at work or was killed."
        )
    if outcome := prediction(record):
        sentences.append(outcome)
    rows = [(name, seconds) for name, seconds in (record.get("phases") or {}).items() if seconds]
    wall = record.get("wall_seconds") or 0.0
    if rows and wall > 0:
        name, seconds = max(rows, key=lambda row: row[1])
        last = " of this session" if sessions > 1 else ""
        phase = fmt.clip(fmt.label(name), 60)
        sentences.append(f"The largest share{last} was {phase}: {fmt.share(seconds / wall)}, {fmt.duration(seconds)}.")
    name, score = leading_score(record)
    if score and status == "done":
        sentences.append(_sentence(score_sentence(name, score)))
    return sentences


def finished_at(record: Mapping[str, Any]) -> str:
    """Return when the run ended: `started_at` is read when the imports are over, the wall time begins before them."""
    imports = (record.get("phases") or {}).get("import") or 0.0
    return fmt.moment(record.get("started_at"), (record.get("wall_seconds") or 0.0) - imports)


def prediction(record: Mapping[str, Any]) -> str:
    """Return one sentence on the first prediction of the run's wall time against the outcome; empty without one."""
    made = next((item for item in record.get("predictions") or [] if fmt.is_number(item.get("p50_seconds"))), None)
    if made is None:
        return ""
    text = f"It was predicted to take {fmt.duration(made['p50_seconds'])}"
    low, high = made.get("p05_seconds"), made.get("p95_seconds")
    bounded = fmt.is_number(low) and fmt.is_number(high)
    if bounded:
        text += f" (90 % interval {fmt.duration(low)} to {fmt.duration(high)})"
    if record.get("status") != "done":
        return f"{text}."
    took = wall_seconds(record)
    ratio = took / made["p50_seconds"] - 1 if made["p50_seconds"] > 0 else math.inf
    if abs(ratio) < 0.005:
        against = "took just that"
    elif math.isfinite(ratio):
        against = f"took {fmt.share(abs(ratio))} {'longer' if ratio > 0 else 'less'}"
    else:
        against = f"took {fmt.duration(took)}"
    inside = f", {'inside' if low <= took <= high else 'outside'} the interval" if bounded else ""
    return f"{text}; it {against}{inside}."


def leading_score(record: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None]:
    """Return the first score of the record that has a value, with its name."""
    for name, score in (record.get("scores") or {}).items():
        if isinstance(score, Mapping) and fmt.is_number(score.get("value")):
            return name, score
    return "", None


def score_text(value: float | None) -> str:
    """Return a score: three decimals between -1 and 1, else its significant digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.3f}" if abs(value) <= 1 else fmt.number(value, 4)


def interval_text(score: Mapping[str, Any] | None) -> str:
    """Return `0.601 to 0.700`, or nothing where an end is missing."""
    if not score or not fmt.is_number(score.get("low")) or not fmt.is_number(score.get("high")):
        return ""
    return f"{score_text(score['low'])} to {score_text(score['high'])}"


def score_sentence(name: str, score: Mapping[str, Any]) -> str:
    """Return a score with its interval and its floor in words."""
    text = f"{capital(fmt.label(name))} is {score_text(score['value'])}"
    if between := interval_text(score):
        level = f"{fmt.share(score['level'])} interval" if fmt.is_number(score.get("level")) else "interval"
        text += f" ({level} {between})"
    floor = score.get("floor")
    if floor and fmt.is_number(floor.get("value")):
        text += f"; {'' if floor.get('name') else 'the '}{floor_name(score)} reaches {score_text(floor['value'])}"
    return f"{text}."


def floor_name(score: Mapping[str, Any]) -> str:
    """Return what the floor of a score is called: its name, or just `floor`."""
    return fmt.label(str((score.get("floor") or {}).get("name") or "floor"))


def scores(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each score: its texts, and its numbers where they can be drawn between 0 and 1."""
    rows = []
    for name, score in (record.get("scores") or {}).items():
        if not isinstance(score, Mapping):
            score = {"value": score if fmt.is_number(score) else None}
        floor = score.get("floor") if isinstance(score.get("floor"), Mapping) else None
        numbers = [part.get(key) for part in (score, floor or {}) for key in ("value", "low", "high")]
        inside = fmt.is_number(score.get("value")) and all(0 <= value <= 1 for value in numbers if fmt.is_number(value))
        rows.append(
            {
                "key": name,
                "name": fmt.clip(fmt.label(name), 120),
                "value": score_text(score.get("value")),
                "interval": interval_text(score),
                "floor": score_text(floor.get("value")) if floor else "",
                "floor_interval": interval_text(floor),
                "floor_name": floor_name(score) if floor else "",
                "drawn": {"value": score["value"], "low": score.get("low"), "high": score.get("high"), "floor": floor}
                if inside
                else None,
            }
        )
    return rows


def score_notes(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what `score_notes` explains of the scores, as (score, sentence), in the order of the scores."""
    notes = record.get("score_notes")
    notes = notes if isinstance(notes, Mapping) else {}
    named = [name for name in record.get("scores") or {} if notes.get(name)]
    return [(fmt.clip(fmt.label(name), 120), fmt.clip(str(notes[name]), 600)) for name in named]


def slices(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the scores by group as a table, each score with its interval; empty without any."""
    return rows("scores_by_group", record.get("slices"))


def rows(name: str, value: Any) -> list[dict[str, Any]]:
    """Return `value` as a table called `name`, a score and its interval in one cell; empty where it is none."""
    return tables({name: with_intervals(value)})


def with_intervals(value: Any) -> Any:
    """Return `value`, where it is a list of rows each score and its interval in them as one text."""
    if not isinstance(value, list):
        return value
    return [
        {key: _with_interval(cell) if _is_score(cell) else cell for key, cell in row.items()}
        if isinstance(row, Mapping)
        else row
        for row in value
    ]


def ledger(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rows of the ledger (phases with their parts), the total, and the difference that closes it."""
    wall = record.get("wall_seconds") or 0.0
    phases = {name: seconds or 0.0 for name, seconds in (record.get("phases") or {}).items()}
    spans = record.get("spans") or {}
    rows = []
    for name, seconds in phases.items():
        rows.append(_ledger_row(name, seconds, wall, part=False))
        parts = {key: value or 0.0 for key, value in spans.items() if key.startswith(f"{name}/")}
        rows += [_ledger_row(key.partition("/")[2], value, wall, part=True) for key, value in parts.items()]
        own = spans.get(name) or 0.0
        if parts and own >= 0.001 * wall:
            rows.append(_ledger_row("the rest", own, wall, part=True))
    difference = wall - sum(phases.values())
    return {
        "rows": rows,
        "wall": _seconds(wall),
        "shares": [(fmt.clip(fmt.label(name), 40), seconds / wall) for name, seconds in phases.items()]
        if wall > 0
        else [],
        "difference": f"{difference:+.3f} s" if abs(difference) >= 0.0005 else "0.000 s",
        "difference_share": fmt.share(abs(difference) / wall) if wall > 0 else fmt.share(0.0),
        "closed": wall > 0 and abs(difference) <= 0.01 * wall,
    }


def sessions(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a row for each session of a resumed run and one for their total; none for a run in one piece."""
    earlier = record.get("earlier_sessions") or []
    if not earlier:
        return []
    rows = [
        {
            "name": str(place),
            "started": fmt.moment(session.get("started_at")),
            "status": str(session.get("status")),
            "wall": fmt.duration(session.get("wall_seconds")),
        }
        for place, session in enumerate([*earlier, record], start=1)
    ]
    return [*rows, {"name": "all", "started": "", "status": "", "wall": fmt.duration(wall_seconds(record))}]


def device(record: Mapping[str, Any]) -> str:
    """Return what was computed on and why, in a sentence or two; empty where nothing is known of it."""
    state = record.get("device") or {}
    if not state.get("kind"):
        return ""
    kind = fmt.label(str(state["kind"]))
    name = f" ({fmt.clip(str(state['name']), 120)})" if state.get("name") else ""
    precision = f" in {state['precision']}" if state.get("precision") else ""
    devices = int(state.get("devices") or 1)
    kind = f"{kind}, {devices} devices together," if devices > 1 else kind
    text = f"Computed on the {kind}{name}{precision}."
    if state.get("requested"):
        text += f" Asked for: {state['requested']}."
    return f"{text} {_sentence(str(state['reason']))}" if state.get("reason") else text


def facts(values: Mapping[str, Any], *, leave_out: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return the plain entries of a free mapping as (label, text), those of nested ones under their joined names."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if key in leave_out or _is_table(value) or _is_quantiles(value):
            continue
        if isinstance(value, Mapping):
            rows += [(f"{fmt.label(key)}, {name}", text) for name, text in facts(value)]
        else:
            rows.append((fmt.label(key), value_text(value, key)))
    return rows


def tables(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of a free mapping that are tables: mappings of mappings, and lists of mappings.

    The quantiles of several quantities (mappings with `p50`) are one table, a row a quantity. A mapping of few mappings
    with many entries is turned, so that it fits a page: a column each, the entries as rows.
    """
    quantities = {fmt.label(key): value for key, value in values.items() if _is_quantiles(value)}
    found = [_table("quantiles", quantities, turned=False)] if quantities else []
    for key, value in values.items():
        if _is_table(value):
            value = with_intervals(value)
            properties = {column for row in value.values() for column in row} if isinstance(value, Mapping) else set()
            found.append(_table(key, value, turned=len(properties) > _MOST_COLUMNS and len(properties) > len(value)))
    return found


def _table(key: str, value: Any, *, turned: bool) -> dict[str, Any]:
    if turned and len(value) <= _MOST_COLUMNS:
        properties = list(dict.fromkeys(column for row in value.values() for column in row))
        return {
            "title": fmt.label(key),
            "columns": ["", *(fmt.clip(str(name), 80) for name in value)],
            "rows": [
                [fmt.label(column), *(value_text(row.get(column), column) for row in value.values())]
                for column in properties[:100]
            ],
            "numeric": [False] * (len(value) + 1),
            "more": max(0, len(properties) - 100),
        }
    named = list(value.items()) if isinstance(value, Mapping) else [("", row) for row in value]
    columns = list(dict.fromkeys(column for _, row in named for column in row))[:8]
    rows = [
        [fmt.clip(str(name), 80), *(value_text(row.get(column), column) for column in columns)]
        for name, row in named[:100]
    ]
    skip = 0 if isinstance(value, Mapping) else 1
    return {
        "title": fmt.label(key),
        "columns": ["", *(fmt.label(column) for column in columns)][skip:],
        "rows": [row[skip:] for row in rows],
        "numeric": [
            False,
            *(all(fmt.is_number(r.get(c)) for _, r in named if r.get(c) is not None) for c in columns),
        ][skip:],
        "more": max(0, len(named) - 100),
    }


def configuration(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return every key of the configuration as (`section.key`, value as in TOML)."""
    rows: list[tuple[str, str]] = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            rows += [(f"{key}.{name}", text) for name, text in configuration(value)]
        else:
            rows.append((str(key), fmt.clip(json.dumps(value, ensure_ascii=False), _LONGEST)))
    return rows


def warnings(record: Mapping[str, Any]) -> list[str]:
    """Return the warnings, a great number of them cut short."""
    texts = [fmt.clip(str(text), 600) for text in record.get("warnings") or []]
    rest = len(texts) - _MOST_WARNINGS
    return texts if rest <= 0 else [*texts[:_MOST_WARNINGS], f"And {rest} more, in run.json."]


def value_text(value: Any, key: str = "") -> str:
    """Return one value of a record as text: thousands apart, seconds as a duration, lists in one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key.endswith("seconds") and isinstance(value, (int, float)):
        return fmt.duration(value)
    if isinstance(value, int):
        return str(value) if key.endswith(("seed", "year")) else fmt.count(value)
    if isinstance(value, float):
        return fmt.number(value)
    if isinstance(value, (list, tuple)):
        if len(value) == 2 and all(isinstance(item, str) and _DATE.fullmatch(item) for item in value):
            return fmt.days(*value)
        shown = ", ".join(value_text(item) for item in value[:20])
        return fmt.clip(shown if len(value) <= 20 else f"{shown} and {len(value) - 20} more", _LONGEST) or "none"
    if isinstance(value, Mapping):
        return fmt.clip(", ".join(f"{fmt.label(str(k))} {value_text(v, str(k))}" for k, v in value.items()), _LONGEST)
    return fmt.day(value) if isinstance(value, str) and _DATE.fullmatch(value) else fmt.clip(str(value), _LONGEST)


def _ledger_row(name: str, seconds: float, wall: float, *, part: bool) -> dict[str, Any]:
    fraction = seconds / wall if wall > 0 else 0.0
    return {
        "name": fmt.clip(fmt.label(name), 60),
        "seconds": _seconds(seconds),
        "share": f"{100 * fraction:.1f}",
        "part": part,
        "width": max(0.0, min(1.0, fraction)),
    }


def _seconds(seconds: float) -> str:
    return f"{seconds:,.2f}"


def _is_score(value: Any) -> bool:
    return isinstance(value, Mapping) and "value" in value


def _with_interval(score: Mapping[str, Any]) -> str:
    between = interval_text(score)
    value = score.get("value")
    return f"{score_text(value if fmt.is_number(value) else None)}{f' ({between})' if between else ''}"


def _is_table(value: Any) -> bool:
    rows = list(value.values()) if isinstance(value, Mapping) else value
    return isinstance(rows, list) and bool(rows) and all(isinstance(row, Mapping) for row in rows)


def _is_quantiles(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and "p50" in value
        and all(number is None or fmt.is_number(number) for number in value.values())
    )


def _sentence(text: str) -> str:
    text = capital(text.strip())
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."


def capital(text: str) -> str:
    """Return `text` with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]
