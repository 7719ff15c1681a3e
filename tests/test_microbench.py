"""Microbenchmarks: that each gives a figure of a plausible size, and is kept."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import pytest

from paceline import clock, machines, microbench


def test_every_benchmark_is_measured() -> None:
    """No figure is missing where everything is installed, and none is nothing; bfloat16 is of accelerators alone."""
    found = microbench.measure(seconds=0.0)
    expected = {name for name in machines.BENCHMARKS if "bf16" not in name}
    assert expected == set(found.benchmarks)
    assert all(value > 0 for value in found.benchmarks.values())
    assert "cpu" == found.kind


def test_accelerators_are_measured_in_bfloat16_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """With sizes of their own; here small ones, on the CPU in the place of one."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(microbench, "LARGE_MATMUL_SIZE", 64)
    monkeypatch.setattr(microbench, "LARGE_CONVOLUTION", (1, 8, 8, 8))
    found: dict[str, float] = {}
    assert "gpu" == microbench._jax(found, 0.0)
    assert min(found["matmul_bf16_gflops"], found["convolution_bf16_gflops"]) > 0


def test_the_best_repetition_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a first one that warms up, at least three; what disturbs one does not count."""
    readings: Iterator[float] = iter([0.0, 0.0, 5.0, 5.0, 7.0, 7.0, 16.0, 16.0])
    monkeypatch.setattr(clock, "now", lambda: next(readings))
    calls: list[int] = []
    assert 2.0 == microbench.best(lambda: calls.append(1), 1.0)
    assert 4 == len(calls)
