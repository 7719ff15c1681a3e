"""Spans of time as people type them: `--time-budget 1h30m`, `--finish-by 17:00`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from paceline.errors import PacelineError

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_WORDS = {"day": "d", "days": "d", "hour": "h", "hours": "h", "min": "m", "minutes": "m", "sec": "s", "seconds": "s"}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)\s*")
_CLOCK_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")


def seconds(text: str) -> float:
    """Return the seconds that `text` stands for; a bare number counts seconds.

    Raises:
        PacelineError: it is no span of time, or none above zero.

    >>> [seconds(text) for text in ("10m", "1h30m", "90s", "1.5 h", "2 min 5 s", "45")]
    [600.0, 5400.0, 90.0, 5400.0, 125.0, 45.0]
    """
    rest, total = text.strip().lower(), 0.0
    while match := _PART.match(rest):
        unit = _WORDS.get(match[2], match[2] or "s")
        if unit not in _UNITS:
            break
        total += float(match[1]) * _UNITS[unit]
        rest = rest[match.end() :]
    if rest or total <= 0:
        raise PacelineError(f"'{text}' is no span of time.", "Write it like 90s, 10m or 1h30m.")
    return total


def until(text: str, now: datetime) -> float:
    """Return the seconds from `now` to the next time that clocks show `text`, or to the date and time it names.

    Args:
        text: `17:00` (tomorrow's where today's is past), or `2026-03-01T17:00`.
        now: in the user's time zone, or without one.

    Raises:
        PacelineError: it is no time, or a date and time in the past.

    >>> until("17:00", datetime(2026, 3, 1, 16, 15)), until("9:30", datetime(2026, 3, 1, 10, 30)) / 3600
    (2700.0, 23.0)
    """
    clock_time = _CLOCK_TIME.fullmatch(text.strip())
    try:
        if clock_time is None:
            end = datetime.fromisoformat(text.strip())
            end = end.replace(tzinfo=end.tzinfo or now.tzinfo)
            left = (end - now).total_seconds()
        else:
            hour, minute, second = (int(part or 0) for part in clock_time.groups())
            end = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
            left = ((end if end > now else end + timedelta(days=1)) - now).total_seconds()
    except (ValueError, TypeError):
        raise PacelineError(f"'{text}' is no time of day.", "Write it like 17:00 or 2026-03-01T17:00.") from None
    if left <= 0:
        raise PacelineError(f"'{text}' is past: it is {now:%Y-%m-%d %H:%M}.", "Name a time that is still to come.")
    return left
