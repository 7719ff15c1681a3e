"""Runs side by side: how soon each reached the same quality, which of them are worth their time, what differs."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

from paceline.report import curves, figure, sections
from paceline.report import format as fmt

_MOST_DRAWN = 6  # runs in a chart; more curves cannot be told apart


def letters(count: int) -> list[str]:
    """Return short names for `count` runs, for charts: A, B, ... Z, A1, B1, ...

    >>> letters(3)
    ['A', 'B', 'C']
    """
    alphabet = string.ascii_uppercase
    return [alphabet[place % 26] + (str(place // 26) if place >= 26 else "") for place in range(count)]


def time_to_quality(records: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return how long each run took to the best validation score that all of them reached.

    Args:
        records: as `sections.prepare` gives them.

    Returns:
        `score` (the monitored score's name), `target`, `seconds` (of each run, from its start, earlier sessions
        included) and `sentence`; None where the runs do not watch the same score, or fewer than two watched one.
    """
    watched = {(history.get("monitor"), history.get("mode")) for history in map(_history, records)}
    known = [_course(record) for record in records]
    if len(records) < 2 or len(watched) > 1 or not all(known):
        return None
    sign = -1 if _history(records[0]).get("mode") == "min" else 1
    target = min(max(sign * value for _, value in course) for course in known)
    seconds = [next(second for second, value in course if sign * value >= target) for course in known]
    name = fmt.label(str(_history(records[0])["monitor"]))
    shown = fmt.number(sign * target)
    sentence = f"All reached a {name} of {shown}"
    fastest, slowest = min(seconds), max(seconds)
    if slowest > 1.05 * fastest > 0:
        letter = letters(len(records))[seconds.index(fastest)]
        sentence += f"; {letter} was there first, after {fmt.duration(fastest)}"
        sentence += f", {slowest / fastest:.1f} times sooner than the last."
    else:
        sentence += ", all after about the same time."
    return {"score": name, "target": sign * target, "seconds": seconds, "sentence": sentence}


def front(records: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Return for each run whether none of the others was better in less time (the Pareto front of time and quality).

    Quality is the leading score, of which more is better; a run without the first run's leading score is not on it.
    """
    places = [_place(record, _leading(records)) for record in records]
    return [
        place is not None
        and not any(
            other[0] <= place[0] and other[1] >= place[1] and other != place for other in places if other is not None
        )
        for place in places
    ]


def charts(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return quality against wall time with the front's runs marked, and the watched score over time, where known."""
    names = letters(len(records))
    drawn = []
    name = _leading(records)
    places = [(letter, place) for letter, record in zip(names, records, strict=True) if (place := _place(record, name))]
    if len(places) > 1:
        drawn.append(_quality(name, places, [record for record in records if _place(record, name)]))
    histories = [_history(record) for record in records]
    courses = [(letter, course) for letter, record in zip(names, records, strict=True) if (course := _course(record))]
    monitors = {history["monitor"] for history in histories if history.get("monitor")}
    if len(courses) > 1 and len(monitors) == 1:
        shown = courses[:_MOST_DRAWN]
        drawn.append(
            figure.line(
                f"{sections.capital(fmt.label(str(next(iter(monitors)))))} over time",
                [
                    figure.series(letter, [second for second, _ in course], [value for _, value in course])
                    for letter, course in shown
                ],
                x_label="seconds since the run's start",
                y_label=fmt.label(str(next(iter(monitors)))),
                caption=f"The first {_MOST_DRAWN} of {len(courses)} runs." if len(courses) > _MOST_DRAWN else "",
            )
        )
    return drawn


def _quality(
    name: str,
    places: Sequence[tuple[str, tuple[float, float]]],
    records: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    scores = [record["scores"][name] for record in records]
    bounds = [
        [score[end] if fmt.is_number(score.get(end)) else score["value"] for score in scores] for end in ("low", "high")
    ]
    on_front = [letter for (letter, _), best in zip(places, front(records), strict=True) if best]
    spec = figure.interval(
        "Quality against time",
        [figure.series("runs", [x for _, (x, _) in places], [y for _, (_, y) in places], *bounds)],
        x_label="wall time, seconds",
        y_label=fmt.label(name),
        caption=f"No other run was better in less time than {_listed(on_front)}.",
    )
    return spec | {"points": [{"name": letter, "x": x, "y": y} for letter, (x, y) in places]}


def _leading(records: Sequence[Mapping[str, Any]]) -> str:
    return sections.leading_score(records[0])[0] if records else ""


def _place(record: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    score = (record.get("scores") or {}).get(name)
    if not isinstance(score, Mapping) or not fmt.is_number(score.get("value")):
        return None
    return sections.wall_seconds(record), float(score["value"])


def _history(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return record.get("history") or {}


def _course(record: Mapping[str, Any]) -> list[tuple[float, float]]:
    """The monitored score by seconds since the run's start; each session of a resumed run counts from zero."""
    history = _history(record)
    sessions = [session.get("wall_seconds") or 0.0 for session in record.get("earlier_sessions") or []]
    before, last, course = 0.0, 0.0, []
    values = curves.curve(history, str(history.get("monitor") or ""))
    seconds = {row.get("step"): row.get("elapsed_seconds") for row in history.get("rows") or []}
    for step, value in zip(values.steps, values.values, strict=True):
        elapsed = seconds.get(step)
        if not fmt.is_number(elapsed):
            continue
        if elapsed < last and sessions:
            before += sessions.pop(0)
        last = elapsed
        course.append((before + elapsed, values.sign * value))
    return course


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
