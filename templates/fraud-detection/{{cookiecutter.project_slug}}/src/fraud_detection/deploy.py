"""A trained run outside of the engine that trained it: as ONNX, and how long one answer takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud_detection import data, examples, onnx_graphs, predict
from fraud_detection.network import Network
from fraud_detection.splits import PrequentialSplit
from paceline import export as exporting
from paceline import latency
from paceline.device import usable_cores
from paceline.quarantine import Quarantine

ONNX_FILE = "model.onnx"
PARITY_ROWS = 2_000
BUDGETS_MS = (10.0, 50.0, 100.0)  # of a payment that waits for the answer


def export(folder: Path) -> dict[str, Any]:
    """Write the run's model as `model.onnx` into its folder: features in, the logit before calibration out.

    It is held to the model on transactions of the test. The file's metadata tell the run, the features in their order,
    and what makes a decision of a logit: calibration and threshold, as the run record has them.

    Returns:
        See `paceline.export.Exported`, and `onnx`, the path.

    Raises:
        PacelineError: the extra `onnx` is missing, or the two differ.
    """
    run, path = predict.load(folder), folder / ONNX_FILE
    rows = rows_of_test(run)[:PARITY_ROWS]
    metadata = {
        "run": folder.name, "features": json.dumps(run.features), "decision": json.dumps(run.decision.state()),
    }  # fmt: skip
    if isinstance(run.model, Network):
        made = exporting.to_onnx(run.model.network, path, rows, metadata=metadata)
    else:
        exporting.require()
        proto = onnx_graphs.of(run.model)
        expected = run.model.logits(rows).astype(np.float32)[:, None]
        made = exporting.keep(proto, path, rows, [expected], outputs=[onnx_graphs.OUTPUT], metadata=metadata)
    return {"run": str(folder), "onnx": str(path), **made.state()}


def benchmark(folder: Path) -> dict[str, Any]:
    """Return how long the probability of one transaction takes, its features at hand.

    ONNX Runtime is timed where `export` has written its file. The features are what a store of them would serve: here
    they come from the whole history at once, see `predict`.

    Returns:
        `run` and `latency`: a row an engine, see `latency.Latency`, with `meets`, by budget.
    """
    run, file = predict.load(folder), folder / ONNX_FILE
    row, cores = rows_of_test(run)[:1], usable_cores()
    if isinstance(run.model, Network):
        rows = latency.compare(run.model.network, file if file.is_file() else None, row, budgets_ms=BUDGETS_MS)
        return {"run": str(folder), "latency": rows}
    answer: Callable[[NDArray[np.float32]], Any] = run.model.logits
    calls = [({"engine": run.config.model.name, "threads": cores, **run.model.state()}, answer)]
    if file.is_file():
        size = {"engine": "onnxruntime", "threads": cores, "size_mb": file.stat().st_size / 1e6}
        calls.append((size, latency.onnx_call(file, threads=cores)))
    rows = []
    for about, call in calls:
        found = latency.measure(call, row)
        meets = {f"{budget:g}": found.p99_ms <= budget for budget in BUDGETS_MS}
        rows.append({**about, "batch": 1, **asdict(found), "meets": meets})
    return {"run": str(folder), "latency": rows}


def rows_of_test(run: predict.TrainedRun) -> NDArray[np.float32]:
    """Return the features of the run's test transactions, in the order of the data."""
    table = data.load(run.config.data, Quarantine())
    fold = PrequentialSplit(table, run.config.data).final()
    return examples.divide(table, predict.known_features(table, run), fold)[1].X
