"""What the page SCALE.md calculates with, measured here: a network's size and work, decoding, checkpoints.

The network is the driving template's `base`; its work is what XLA counts for a training step, which needs no fast
machine. `sh ci/bench scale` has measured the boosting.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import tempfile

import keras

from driving_perception import model
from driving_perception.config import Config
from driving_perception.renderer import render
from results import save

WIDTH_PX, HEIGHT_PX, BATCH, CLASSES = 480, 360, 8, 12
DECODED = 400


def main() -> None:
    """Measure, print and keep the figures."""
    cv2.setNumThreads(1)
    figures = {**network(), **decoding(), "width_px": WIDTH_PX, "height_px": HEIGHT_PX, "batch": BATCH}
    print(figures)
    save("growth", figures)


def network() -> dict[str, Any]:
    """Return parameters, operations of a training step for each frame, and bytes and seconds of a checkpoint."""
    import jax

    maps = model.encode(images := keras.Input((HEIGHT_PX, WIDTH_PX, 3)), "base", normalise=True)
    x = model.decode(maps, Config().model.decoder_channels, normalise=True)
    whole = keras.Model(images, keras.layers.Conv2D(CLASSES, 1)(x))
    whole.compile("adamw", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    whole.optimizer.build(whole.trainable_variables)
    parts = (
        whole.trainable_variables,
        whole.non_trainable_variables,
        whole.optimizer.variables,
        whole.metrics_variables,
    )

    def shape(array: Any) -> Any:
        return jax.ShapeDtypeStruct(tuple(array.shape), jax.dtypes.canonicalize_dtype(array.dtype))

    state = tuple([shape(variable.value) for variable in part] for part in parts)
    answer = jax.ShapeDtypeStruct((BATCH, *whole.output.shape[1:3]), np.int32)
    frames = jax.ShapeDtypeStruct((BATCH, HEIGHT_PX, WIDTH_PX, 3), np.float32)
    flops = jax.jit(whole.train_step).lower(state, (frames, answer)).cost_analysis()["flops"]
    arrays = [np.asarray(variable.value) for part in parts for variable in part]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        np.savez(Path(folder, "checkpoint.npz"), *arrays)
        os.sync()
        seconds = time.perf_counter() - began
    return {
        "parameters": whole.count_params(),
        "trained_parameters": sum(int(np.prod(variable.shape)) for variable in whole.trainable_variables),
        "flops_per_frame": flops / BATCH,
        "checkpoint_bytes": sum(array.nbytes for array in arrays),
        "checkpoint_seconds": seconds,
    }


def decoding() -> dict[str, Any]:
    """Return the bytes of a frame as JPEG and how many of them a thread decodes in a second."""
    frame = render(0, seed=0, width_px=WIDTH_PX, height_px=HEIGHT_PX)
    jpeg = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    began = time.process_time()
    for _ in range(DECODED):
        cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    return {"jpeg_bytes": len(jpeg), "decoded_per_second": DECODED / (time.process_time() - began)}


if __name__ == "__main__":
    main()
