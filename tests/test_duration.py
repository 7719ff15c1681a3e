"""Spans of time as people type them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from paceline import duration
from paceline.errors import PacelineError

NOW = datetime(2026, 3, 1, 16, 15, 30)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (600.0, "10m"),
        (5400.0, "1h30m"),
        (90.0, "90s"),
        (90.0, " 90 "),
        (5400.0, "1.5h"),
        (125.0, "2 min 5 sec"),
        (90_000.0, "1d1h"),
        (7200.0, "2 Hours"),
    ],
)
def test_a_span_is_read(expected: float, text: str) -> None:
    """Units of days to seconds, together and with spaces; a bare number counts seconds."""
    assert expected == duration.seconds(text)


@pytest.mark.parametrize("text", ["", "soon", "10x", "-5m", "0", "0s", "1h later", "m", "17:00", "nan", "1e3"])
def test_what_is_no_span_is_refused(text: str) -> None:
    """One sentence with the text received, one with the form."""
    with pytest.raises(PacelineError) as refused:
        duration.seconds(text)
    assert f"'{text}' is no span of time. Write it like 90s, 10m or 1h30m." == str(refused.value)


@pytest.mark.parametrize(
    ("expected", "text"),
    [(2670.0, "17:00"), (29.0, "16:15:59"), (86_400.0 - 30, "16:15"), (86_400.0 - 30, "2026-03-02T16:15")],
)
def test_the_seconds_until_a_time(expected: float, text: str) -> None:
    """The next such time of day, tomorrow's where today's is past; or one with its date."""
    assert expected == duration.until(text, NOW)


def test_a_time_zone_is_kept() -> None:
    """A time of day is meant where the user is; one with a zone of its own as it says."""
    now = NOW.replace(tzinfo=UTC)
    assert 2670.0 == duration.until("17:00", now)
    assert 2670.0 == duration.until("2026-03-01T18:00+01:00", now)


@pytest.mark.parametrize("text", ["", "25:00", "17", "10m", "17:61"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """One sentence with the text received, one with the form."""
    with pytest.raises(PacelineError, match=r"is no time of day\. Write it like 17:00"):
        duration.until(text, NOW)


def test_a_date_that_is_past_is_refused() -> None:
    """A run cannot end before it begins."""
    with pytest.raises(PacelineError, match="'2026-02-01T10:00' is past: it is 2026-03-01 16:15"):
        duration.until("2026-02-01T10:00", NOW)
