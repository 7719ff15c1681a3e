"""Numbers as people read them: no carry is lost, nothing reads as all or nothing that is not."""

from __future__ import annotations

import math

import pytest

from paceline.report import format as fmt


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0.000 s"),
        (0.0994, "0.099 s"),
        (0.0996, "0.10 s"),
        (0.996, "1.0 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 0 min"),
        (86_399, "1 d 0 h"),
        (90_000, "1 d 1 h"),
        (-83, "-1 min 23 s"),
        (None, "unknown"),
        (math.inf, "unknown"),
    ],
)
def test_duration_carries_over(seconds: float | None, expected: str) -> None:
    """Rounding moves into the next unit instead of showing 60 s or 60 min."""
    assert expected == fmt.duration(seconds)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (7, "7"),
        (0.05, "0.050"),
        (0.00051, "0.00051"),
        (1e15, "1.00e15"),
        (None, "unknown"),
        (-3.14159, "-3.14"),
    ],
)
def test_number_has_sensible_digits(value: float | None, expected: str) -> None:
    """Small and large numbers keep their meaning in a few digits."""
    assert expected == fmt.number(value)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0005, "0.1 %"), (0.00049, "<0.1 %"), (0.999, "99.9 %"), (1.5, "150 %"), (-0.2, "-20 %")]
)
def test_share_is_never_all_or_nothing_by_rounding(value: float, expected: str) -> None:
    """A share that is not 0 or 1 does not read as 0 % or 100 %."""
    assert expected == fmt.share(value)


def test_moment_carries_over_midnight_and_keeps_what_is_no_date() -> None:
    """Seconds are added across the day; a text that is no instant stays."""
    assert fmt.moment("2026-12-31T23:59:30+00:00", 40) == "1 January 2027, 00:00 UTC"
    assert fmt.moment("soon") == "soon"
    assert fmt.moment(None) == "unknown"


def test_bind_keeps_units_with_their_numbers() -> None:
    """Only spaces between a number and a unit stop breaking."""
    assert fmt.bind("90 % of 1 min 23 s, 3 scores") == "90\u00a0% of 1\u00a0min 23\u00a0s, 3 scores"


def test_clip_keeps_both_ends_on_one_line() -> None:
    """Long names lose their middle, short ones nothing, line breaks become spaces."""
    assert fmt.clip("abcdefuvwxyz", 5) == "ab…yz"
    assert fmt.clip(" a\n b ", 5) == "a b"
