"""Writing chosen levers to config.toml: only their keys change, and a comment says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from paceline import atomic
from paceline.errors import PacelineError

MARK = "levers: "  # begins what is said of a lever, after a key's own comment


def apply(
    path: Path, found: Sequence[Mapping[str, Any]], names: Sequence[str], *, today: date | None = None
) -> list[str]:
    """Write levers to the configuration in `path` and return the changed keys as `section.key = value`.

    Args:
        path: a TOML file.
        found: as `command.levers` returns them.
        names: the levers; empty: every throughput lever not in use that gains for sure and costs no quality. Of several
            that set the same key the one with the largest gain is taken.
        today: written into the comments.

    Raises:
        PacelineError: a named lever was not measured, or the file cannot be changed.
    """
    import tomlkit

    known = {str(each["lever"]): each for each in found}
    for name in names:
        if name not in known:
            raise PacelineError(f"'{name}' was not measured.", f"There are {', '.join(map(repr, known))}.")
    chosen = [known[name] for name in names] if names else [each for each in found if safe(each)]
    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PacelineError(f"'{path}' cannot be read: {error.strerror}.", "Name another file: --config.") from None
    changed: dict[str, str] = {}
    for each in sorted(chosen, key=lambda each: -(each["gain"] or {"value": 0.0})["value"]):
        if set(each["settings"]) & set(changed):
            continue
        for key, value in each["settings"].items():
            _put(document, key, value, comment(each, today or date.today()))
            changed[key] = f"{key} = {tomlkit.item(value).as_string()}"
    if changed:
        atomic.write_text(path, tomlkit.dumps(document))
    return list(changed.values())


def safe(found: Mapping[str, Any]) -> bool:
    """Return whether a lever is worth setting without a thought: it gains for sure, and costs no quality."""
    gain = found["gain"] or {}
    sure = gain.get("low") is not None and gain["low"] > 1
    return found["kind"] == "throughput" and not found["in_use"] and not found["risk"] and sure


def comment(found: Mapping[str, Any], today: date) -> str:
    """Return what stands beside a changed key: the lever, its gain and the day."""
    gain = found["gain"]
    if gain is None:
        return f"{found['lever']}, not measured, set on {today}"
    between = "" if gain["low"] is None else f" ({gain['low']:.2f} to {gain['high']:.2f})"
    return f"{found['lever']}, {gain['value']:.2f} times as fast{between}, measured on {today}"


def _put(document: Any, key: str, value: Any, text: str) -> None:
    import tomlkit

    table = document
    *sections, name = key.split(".")
    for section in sections:
        if section not in table:
            table.add(section, tomlkit.table())
        table = table[section]
    item = tomlkit.item(value)
    before = table[name].trivia.comment.removeprefix("#").partition(MARK)[0].strip(" ;") if name in table else ""
    item.comment(f"{before}; {MARK}{text}" if before else f"{MARK}{text}")
    item.trivia.comment_ws = "  "
    table[name] = item
