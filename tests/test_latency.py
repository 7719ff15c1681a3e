"""Latency: percentiles of what was timed, synchronised, against budgets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paceline import export, latency
from paceline.errors import PacelineError

import keras  # isort: skip  # the backend is settled by the import before


def test_percentiles_are_of_the_runs_after_the_warm_up() -> None:
    """Warm-up calls do not count, however slow; percentiles and the maximum are those of the others."""
    clock, durations = [0.0], iter([9.0, 9.0, *np.arange(1, 101) / 1e3])

    def call(example: Any) -> Any:
        clock[0] += next(durations)
        return example

    found = latency.measure(call, np.zeros(1), warmups=2, runs=100, read=lambda: clock[0])
    expected = np.percentile(np.arange(1, 101), [50, 90, 99])
    np.testing.assert_allclose([*expected, 100.0], [found.p50_ms, found.p90_ms, found.p99_ms, found.max_ms])
    assert 100 == found.runs


def test_the_answer_is_waited_for() -> None:
    """An answer that is only promised is timed until it is there, inside lists and dictionaries too."""
    clock = [0.0]

    class Promise:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            clock[0] += 0.004
            return np.zeros(1)

    found = latency.measure(lambda _: {"a": [Promise(), Promise()]}, None, warmups=0, runs=5, read=lambda: clock[0])
    assert found.p50_ms == pytest.approx(8.0)


def test_engines_are_compared_on_the_same_batch(tmp_path: Path) -> None:
    """A row for Keras and one for ONNX Runtime, with threads, precision, size and each budget's verdict."""
    pytest.importorskip("jax2onnx")
    images = keras.Input((8, 8, 3))
    model = keras.Model(images, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(images)))
    rows = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype("float32")
    export.to_onnx(model, tmp_path / "model.onnx", rows)
    found = latency.compare(model, tmp_path / "model.onnx", rows, warmups=1, runs=5, threads=1, budgets_ms=(0.0, 1e9))
    assert ["keras", "onnxruntime"] == [row["engine"] for row in found]
    assert [112, 1] == [found[0]["parameters"], found[1]["threads"]]
    assert found[1]["size_mb"] == pytest.approx((tmp_path / "model.onnx").stat().st_size / 1e6)
    for row in found:
        assert (1, "float32", 5) == (row["batch"], row["precision"], row["runs"])
        assert {"0": False, "1e+09": True} == row["meets"]
        assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["max_ms"]
    assert 1 == len(latency.compare(model, None, rows, warmups=0, runs=1))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    """Missing or damaged: one sentence."""
    pytest.importorskip("onnxruntime")
    (tmp_path / "x.onnx").write_bytes(b"garbage")
    for name, said in (("x.onnx", "is no ONNX model"), ("y.onnx", "cannot be read")):
        with pytest.raises(PacelineError, match=said):
            latency.onnx_call(tmp_path / name, threads=1)
