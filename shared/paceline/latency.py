"""How long one answer takes: percentiles of many calls, against a budget, of Keras beside ONNX Runtime.

The tail is what a budget is about, so it is judged by the 99th percentile; the mean says nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paceline.clock import now
from paceline.device import usable_cores
from paceline.errors import PacelineError

BUDGETS_MS = (33.0, 50.0, 100.0)  # a frame at 30 a second, at 20 a second, and what a person takes as at once
WARMUPS = 20
RUNS = 200


@dataclass(frozen=True)
class Latency:
    """Percentiles of the time of one call, in milliseconds, over `runs` calls after the warm-up."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    runs: int


def measure(
    call: Callable[[Any], Any],
    example: Any,
    *,
    warmups: int = WARMUPS,
    runs: int = RUNS,
    read: Callable[[], float] = now,
) -> Latency:
    """Time `call(example)` until its answer is in memory.

    Args:
        call: returns an array, or a list, tuple or dictionary of arrays; an asynchronous one is waited for.
        example: what it is given.
        warmups: calls before, which compile and fill caches.
        runs: calls that count.
        read: the source of time, replaced in tests.

    >>> measure(lambda x: x + 1, np.zeros(3), warmups=1, runs=10).runs
    10
    """
    for _ in range(warmups):
        _arrive(call(example))
    seconds = np.empty(runs)
    for place in range(runs):
        started = read()
        _arrive(call(example))
        seconds[place] = read() - started
    p50, p90, p99 = np.percentile(seconds * 1e3, [50, 90, 99])
    return Latency(float(p50), float(p90), float(p99), float(seconds.max() * 1e3), runs)


def compare(
    model: Any,
    onnx_file: Path | None,
    example: NDArray[Any],
    *,
    budgets_ms: Sequence[float] = BUDGETS_MS,
    warmups: int = WARMUPS,
    runs: int = RUNS,
    threads: int | None = None,
) -> list[dict[str, Any]]:
    """Time the Keras model's compiled prediction, and ONNX Runtime's where there is a file, one after the other.

    Args:
        model: a Keras model with one input.
        onnx_file: as `export.to_onnx` writes it.
        example: one batch (batch, ...); a batch of 1 is what latency is usually about.
        budgets_ms: what the 99th percentile is held to.
        warmups: see `measure`.
        runs: see `measure`.
        threads: of ONNX Runtime; as many as there are cores by default, which is what Keras takes.

    Returns:
        A row an engine: `engine`, `batch`, `threads`, `precision`, `parameters` or `size_mb` of the file, the fields
        of `Latency`, and `meets`, by budget.

    Raises:
        PacelineError: the extra `onnx` is not installed, or the file cannot be read.
    """
    cores = usable_cores()
    batch = np.ascontiguousarray(example, dtype=np.float32)
    calls: list[tuple[dict[str, Any], Callable[[Any], Any]]] = [
        (
            {
                "engine": "keras",
                "threads": cores,
                "precision": str(model.dtype_policy.compute_dtype),
                "parameters": int(model.count_params()),
            },
            model.predict_on_batch,
        )
    ]
    if onnx_file is not None:
        row = {"engine": "onnxruntime", "threads": threads or cores, "precision": "float32"}
        row["size_mb"] = onnx_file.stat().st_size / 1e6 if onnx_file.is_file() else 0.0
        calls.append((row, onnx_call(onnx_file, threads=threads or cores)))
    rows = []
    for row, call in calls:
        found = measure(call, batch, warmups=warmups, runs=runs)
        meets = {f"{budget:g}": found.p99_ms <= budget for budget in budgets_ms}
        rows.append({**row, "batch": len(batch), **asdict(found), "meets": meets})
    return rows


def onnx_call(path: Path, *, threads: int) -> Callable[[NDArray[np.float32]], list[NDArray[Any]]]:
    """Return a function from a batch to the outputs of the ONNX file, on the CPU.

    Raises:
        PacelineError: the extra `onnx` is not installed, or the file cannot be read.
    """
    try:
        import onnxruntime
    except ImportError:
        raise PacelineError("ONNX Runtime is not installed.", "pip install '.[onnx]'.") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what goes wrong is raised as well
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except OSError as error:
        raise PacelineError(f"'{path}' cannot be read: {error.strerror}.", "Export the run first.") from None
    except Exception as error:  # the runtime's own, one of a dozen
        detail = str(error).strip().splitlines()[0][:200]
        raise PacelineError(f"'{path.name}' is no ONNX model: {detail}.", "Export the run again.") from None
    name = session.get_inputs()[0].name

    def call(batch: NDArray[np.float32]) -> list[NDArray[Any]]:
        return list(session.run(None, {name: batch}))

    return call


def _arrive(answer: Any) -> None:
    """Wait until every array of `answer` is in this process's memory."""
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, (list, tuple)):
        for part in answer:
            _arrive(part)
    else:
        np.asarray(answer)
