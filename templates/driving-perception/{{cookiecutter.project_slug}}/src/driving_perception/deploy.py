"""A trained run outside of Keras: as ONNX, and how long one frame takes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception import data, model, predict, splits
from paceline import atomic, latency
from paceline import export as exporting
from paceline.quarantine import Quarantine

PARITY_FRAMES = 4
ONNX_FILE = "model.onnx"


def export(folder: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Write the run's model as `model.onnx` into its folder, held to the model on test frames.

    Returns:
        See `paceline.export.Exported`, and `onnx`, the path.

    Raises:
        PacelineError: the extra `onnx` is missing, or the two differ.
    """
    run = predict.load(folder, overrides)
    path = folder / ONNX_FILE
    metadata = {"run": folder.name, "task": run.config.model.task, "classes": ", ".join(run.task.classes)}
    made = exporting.to_onnx(run.model, path, frames(run)[:PARITY_FRAMES], metadata=metadata)
    return {"run": str(folder), "onnx": str(path), **made.state()}


def benchmark(folder: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Time one frame at a time: the network alone, and end to end from a frame to an answer of its size.

    End to end is resizing to the network's size, the network, and for segmentation the likeliest class of each pixel at
    the size of the frame. ONNX Runtime is timed where `export` has written its file. Kept as `latency.json`.

    Returns:
        `rows`, see `latency.compare`, each with `scope`: `model` or `end to end`; `frame_px`, `budget_ms` and
        `within_budget`: whether the fastest engine's 99th percentile end to end is.
    """
    run = predict.load(folder, overrides)
    frame = frames(run)[0]
    file = folder / ONNX_FILE
    onnx = file if file.is_file() else None
    budgets = tuple(sorted({*latency.BUDGETS_MS, run.config.report.latency_budget_ms}))
    rows = [{"scope": "model", **row} for row in latency.compare(run.model, onnx, frame[None], budgets_ms=budgets)]
    calls: dict[str, Callable[[NDArray[np.float32]], Any]] = {"keras": run.model.predict_on_batch}
    if onnx is not None:
        calls["onnxruntime"] = latency.onnx_call(onnx, threads=rows[-1]["threads"])
    for row in list(rows):
        found = latency.measure(functools.partial(end_to_end, run, calls[row["engine"]]), frame)
        meets = {f"{budget:g}": found.p99_ms <= budget for budget in budgets}
        rows.append({**row, "scope": "end to end", **asdict(found), "meets": meets})
    budget = run.config.report.latency_budget_ms
    fastest = min(row["p99_ms"] for row in rows if row["scope"] == "end to end")
    answer = {
        "run": str(folder),
        "frame_px": [frame.shape[1], frame.shape[0]],
        "budget_ms": budget,
        "p99_ms": fastest,
        "within_budget": fastest <= budget,
        "rows": rows,
    }
    atomic.write_json(folder / "latency.json", answer)
    return answer


def end_to_end(
    run: predict.TrainedRun, call: Callable[[NDArray[np.float32]], Any], image: NDArray[np.uint8]
) -> NDArray[Any]:
    """Return what the network says of an image of any size, at that size where it is a class map."""
    height, width = run.model.input_shape[1:3]
    seen = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)[None].astype(np.float32)
    found = call(seen)
    if run.config.model.task != "segmentation":
        return np.asarray(next(iter(found.values())) if isinstance(found, dict) else found[0])
    logits = np.asarray(found[0] if isinstance(found, list) else found)
    best = logits.reshape(logits.shape[-3:]).argmax(axis=-1).astype(np.uint8)
    return np.asarray(cv2.resize(best, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST))


def frames(run: predict.TrainedRun) -> NDArray[np.uint8]:
    """Return a few frames of the run's test."""
    scenes = data.load(run.config.data, run.config.model.task, Quarantine())
    test = splits.divide(scenes, run.config.data, run.config.train.seed).test
    return np.asarray(model.take(scenes.images, test[:PARITY_FRAMES]))
