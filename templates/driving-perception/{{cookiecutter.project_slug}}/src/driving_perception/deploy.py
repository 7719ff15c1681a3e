"""A trained run outside of Keras: as ONNX, and how long one frame takes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driving_perception import data, model, pictures, predict, splits
from driving_perception.segmentation import Segmentation, likeliest
from paceline import atomic, device, latency
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

    The frame is one of the test, at the size of its file; see `end_to_end`. ONNX Runtime is timed where `export` has
    written its file. Kept as `latency.json`.

    Returns:
        `rows`, see `latency.compare`, each with `scope`: `model` or `end to end`, `device`, and `size_mb` of the
        engine's file; `frame_px` and `network_px`, the widths and heights; `budget_ms`, `p99_ms` and `within_budget`:
        whether the fastest engine's 99th percentile end to end is.
    """
    run = predict.load(folder, overrides)
    frame = source_frame(run)
    height, width = run.model.input_shape[1:3]
    seen = pictures.resized(frame, (width, height))[None]
    file = folder / ONNX_FILE
    onnx = file if file.is_file() else None
    budgets = tuple(sorted({*latency.BUDGETS_MS, run.config.report.latency_budget_ms}))
    engines = {
        "keras": {"device": run.device, "size_mb": (folder / "model.keras").stat().st_size / 1e6},
        "onnxruntime": {"device": device.hardware()["cpu"]},
    }
    rows = [
        {"scope": "model", **row, **engines[row["engine"]]}
        for row in latency.compare(run.model, onnx, seen, budgets_ms=budgets)
    ]
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
        "network_px": [width, height],
        "budget_ms": budget,
        "p99_ms": fastest,
        "within_budget": fastest <= budget,
        "rows": rows,
    }
    atomic.write_json(folder / "latency.json", answer)
    return answer


def end_to_end(run: predict.TrainedRun, call: Callable[[NDArray[np.float32]], Any], image: NDArray[np.uint8]) -> Any:
    """Return what the network says of an image of any size, at that size, as `predict` does.

    It is resized to the network's size; the answer is the likeliest class of each pixel, or the boxes or lanes, decoded
    from the grid.

    Args:
        run: the trained run.
        call: from a batch of one to the network's outputs: an array, or several by name or in the order of the names.
        image: (height, width, 3) RGB.
    """
    height, width = run.model.input_shape[1:3]
    found = call(pictures.resized(image, (width, height))[None].astype(np.float32))
    if isinstance(run.task, Segmentation):
        logits = np.asarray(found[0] if isinstance(found, list) else found)
        return likeliest(logits.reshape(logits.shape[-3:]), image.shape[:2])
    if not isinstance(found, dict):
        found = dict(zip(sorted(run.model.output), found, strict=True))
    return run.task.describe({name: np.asarray(value)[0] for name, value in found.items()}, image.shape[:2])


def source_frame(run: predict.TrainedRun) -> NDArray[np.uint8]:
    """Return a frame of the run's test, stretched back to the size of its file, which the time depends on."""
    scenes, test = _test(run)
    width, height = scenes.source_size_px[test[0]].tolist()
    return pictures.resized(np.asarray(scenes.images[test[0]]), (width, height))


def frames(run: predict.TrainedRun) -> NDArray[np.uint8]:
    """Return a few frames of the run's test, at the network's size."""
    scenes, test = _test(run)
    return np.asarray(model.take(scenes.images, test[:PARITY_FRAMES]))


def _test(run: predict.TrainedRun) -> tuple[data.Scenes, NDArray[np.int64]]:
    scenes = data.load(run.config.data, run.config.model.task, Quarantine())
    return scenes, splits.divide(scenes, run.config.data, run.config.train.seed).test
