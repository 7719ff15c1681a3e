"""Defaults for the waiting of numerical libraries' threads."""

from __future__ import annotations

import os

import pytest

from paceline import threads


def test_defaults_fill_what_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has set stays; the rest is set so that nothing spins."""
    monkeypatch.setattr(os, "environ", {"OPENBLAS_NUM_THREADS": "4"})
    threads.settle()
    assert {"OPENBLAS_NUM_THREADS": "4", "OMP_WAIT_POLICY": "PASSIVE"} == os.environ
