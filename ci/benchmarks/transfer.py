"""Time what transfer learning costs on a CPU: frozen features cached, and convolutions that XLA computes slowly.

Cached against recomputed: the same head trained for ten epochs on frozen features of EfficientNet-Lite0, writing the
cache included. Convolutions: a step of full fine-tuning and a prediction with the library's convolutions, with Keras's
own, and with Keras's own on the torch backend, where `PACELINE_TORCH_PYTHON` names an interpreter that has torch.
Every contender is a process of its own; the rounds go through them in turn, and the median of the rounds counts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

IMAGES, EPOCHS, SIZE_PX, BATCH, STEP_BATCH, ROUNDS, STEPS = 1920, 10, 128, 32, 16, 3, 9


def main() -> None:
    """Compare the contenders, print a line for each, and keep the medians and the ratios."""
    from results import save

    torch = os.environ.get("PACELINE_TORCH_PYTHON")
    # The interpreter with torch finds the library's other dependencies in this one's packages.
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), packages])
    contenders: dict[str, tuple[list[str], dict[str, str]]] = {
        name: ([sys.executable, __file__, name], {"KERAS_BACKEND": "jax"})
        for name in ("cached", "recomputed", "library", "keras")
    }
    if torch:
        contenders["torch"] = ([torch, __file__, "torch"], {"KERAS_BACKEND": "torch", "PYTHONPATH": path})
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, (command, environment) in contenders.items():
            done = subprocess.run(  # noqa: S603 -- this file
                command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
            )
            rows[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{name:10} {rows[name][-1]}", flush=True)
    median = {
        name: {key: statistics.median(row[key] for row in found) for key in found[0]} for name, found in rows.items()
    }
    # Ratios of the same round: what else the machine does then burdens both.
    pairs = zip(rows["recomputed"], rows["cached"], strict=True)
    ratios = [recomputed["seconds"] / cached["seconds"] for recomputed, cached in pairs]
    figures: dict[str, Any] = {
        "images": IMAGES,
        "epochs": EPOCHS,
        "image_size_px": SIZE_PX,
        "step_batch": STEP_BATCH,
        "rounds": ROUNDS,
        "rows": median,
        "cached_ratio": {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)},
    }
    if torch:
        figures["torch"] = subprocess.run(  # noqa: S603 -- the interpreter that the caller named
            [torch, "-c", "import torch; print(torch.__version__)"], check=True, capture_output=True, text=True
        ).stdout.strip()
    save("transfer", figures)


def pictures(count: int) -> Any:
    """Return images of noise: what is in them does not change the time."""
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, (count, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


def head(width: int) -> Any:
    """Return one layer on top of the features, compiled."""
    import keras

    model = keras.Sequential([keras.Input((width,)), keras.layers.Dense(1, dtype="float32")])
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    return model


def ten_epochs(cached: bool) -> dict[str, float]:
    """Return the seconds of training a head for ten epochs; compilation belongs to both."""
    import numpy as np

    from paceline import transfer

    images, labels = pictures(IMAGES), np.arange(IMAGES) % 2
    backbone = transfer.backbone("efficientnet-lite0", image_size_px=SIZE_PX)
    top = head(backbone.output["pooled"].shape[-1])
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        if cached:
            known = transfer.features(backbone, images, folder=Path(folder))["pooled"]
            top.fit(known, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)
        else:
            model = transfer.attach(backbone, top)
            model.compile("adam", top.loss)
            model.fit(images, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)
        return {"seconds": time.perf_counter() - started}


def steps(own: bool) -> dict[str, float]:
    """Return what a step of full fine-tuning and a prediction take once compiled, and the first step."""
    import numpy as np

    from paceline import convolution, transfer

    images, labels = pictures(STEP_BATCH).astype("float32"), np.arange(STEP_BATCH).reshape(-1, 1) % 2
    backbone = transfer.backbone("efficientnet-lite0", image_size_px=SIZE_PX)
    top = head(backbone.output["pooled"].shape[-1])
    model = transfer.attach(backbone, top)
    transfer.unfreeze(backbone, share=1.0)
    model.compile("adam", top.loss)

    def timed(call: Any) -> float:
        started = time.perf_counter()
        np.asarray(call())
        return time.perf_counter() - started

    with nullcontext() if own else convolution.native():
        first = timed(lambda: model.train_on_batch(images, labels))
        step = statistics.median(timed(lambda: model.train_on_batch(images, labels)) for _ in range(STEPS))
        model.predict_on_batch(images)
        predict = statistics.median(timed(lambda: model.predict_on_batch(images)) for _ in range(STEPS))
    return {"first_step_seconds": first, "step_ms": step * 1e3, "predict_ms": predict * 1e3}


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        name = sys.argv[1]
        figures = ten_epochs(name == "cached") if name in ("cached", "recomputed") else steps(name == "library")
        print(json.dumps(figures))
