"""Microbenchmarks: that each gives a figure of a plausible size, and is kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from paceline import clock, machines, microbench


def test_every_benchmark_is_measured() -> None:
    """No figure is missing where everything is installed, and none is nothing."""
    found = microbench.measure(seconds=0.0)
    assert machines.BENCHMARKS.keys() == found.benchmarks.keys()
    assert all(value > 0 for value in found.benchmarks.values())
    assert "cpu" == found.kind


def test_the_best_repetition_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a first one that warms up, at least three; what disturbs one does not count."""
    readings: Iterator[float] = iter([0.0, 0.0, 5.0, 5.0, 7.0, 7.0, 16.0, 16.0])
    monkeypatch.setattr(clock, "now", lambda: next(readings))
    calls: list[int] = []
    assert 2.0 == microbench.best(lambda: calls.append(1), 1.0)
    assert 4 == len(calls)
