"""Secrets are hidden wherever they stand, and nothing else is."""

from __future__ import annotations

import pytest

from paceline.redact import redact


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("sqlite:///study.db", "sqlite:///study.db"),
        ("postgresql://me:pw@host/db", "postgresql://(hidden)@host/db"),
        ("train --set tune.api_key=abc", "train --set tune.api_key=(hidden)"),
        ({"auth_token": "abc", "max_tokens": 12}, {"auth_token": "(hidden)", "max_tokens": 12}),
        ({"list": ["a://b:c@d"], "empty_password": ""}, {"list": ["a://(hidden)@d"], "empty_password": ""}),
        (None, None),
    ],
)
def test_redact(value: object, expected: object) -> None:
    """Passwords in addresses and texts under telling keys go; numbers, plain addresses and empty texts stay."""
    assert expected == redact(value)


def test_long_texts_take_linear_time() -> None:
    """A megabyte of what nearly matches is looked through without piling up work (it took minutes quadratically)."""
    for text in ("w" * 1_000_000, "a." * 500_000, "passw" * 200_000, "a://" * 250_000):
        assert redact(text) == text
