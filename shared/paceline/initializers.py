"""Random first weights, drawn by NumPy: XLA would compile a program of its own for each shape, 0.25 s each on a CPU.

A network of fifty different kernels so starts twelve seconds sooner when nothing is compiled yet.
"""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np

from paceline import device

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend


@keras.saving.register_keras_serializable(package="paceline")
class HeNormal(keras.initializers.Initializer):  # type: ignore[misc] # Keras publishes no types
    """Normal with variance 2 / inputs of a unit (He et al. 2015), for layers before a ReLU.

    Each call draws anew, from the seed that `keras.utils.set_random_seed` sets. A kernel's last axis is its outputs.
    """

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Return weights of `shape`."""
        rng = _generator()
        deviation = math.sqrt(2.0 / max(1, math.prod(shape[:-1])))
        values = rng.standard_normal(shape, dtype=np.float32) * np.float32(deviation)
        return keras.ops.convert_to_tensor(values, dtype=dtype or keras.config.floatx())


@keras.saving.register_keras_serializable(package="paceline")
class Uniform(keras.initializers.Initializer):  # type: ignore[misc] # Keras publishes no types
    """Uniform between plus and minus `sqrt(3 * scale / fan)`, drawn anew at each call, as `HeNormal` is.

    Args:
        scale: 1 with the mean of both fans is Glorot's (2010), Keras's default; 1/3 with `fan_in` is PyTorch's.
        mode: `fan_in`, or `fan_avg`, the mean of what goes in and out.
    """

    def __init__(self, scale: float = 1.0, mode: str = "fan_avg") -> None:
        self.scale, self.mode = scale, mode

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Return weights of `shape`, the last two axes of which are inputs and outputs."""
        field = math.prod(shape[:-2])
        fan_in, fan_out = shape[-2] * field, shape[-1] * field
        reach = math.sqrt(3 * self.scale / (fan_in if self.mode == "fan_in" else (fan_in + fan_out) / 2))
        values = (2 * _generator().random(shape, dtype=np.float32) - 1) * np.float32(reach)
        return keras.ops.convert_to_tensor(values, dtype=dtype or keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"scale": self.scale, "mode": self.mode}


def _generator() -> np.random.Generator:
    return np.random.default_rng(random.randint(1, 2**31 - 1))  # noqa: S311 -- as Keras's own draw their seeds
