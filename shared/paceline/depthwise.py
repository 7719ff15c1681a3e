"""Depthwise convolution that is fast on a CPU as well: a sum of shifted products where XLA's own is slow.

XLA's CPU compiler runs a depthwise convolution as many small convolutions. The same sum written as one multiplication
and addition per place of the kernel fuses into a single loop: 4 to 9 times faster forward and backward on two cores
(JAX 0.10), with equal numbers up to the order of additions. Elsewhere Keras's own is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from paceline import device

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend
from keras import ops  # noqa: E402 -- after its backend

_NATIVE: ContextVar[bool] = ContextVar("native", default=False)


@contextmanager
def native() -> Iterator[None]:
    """Use Keras's own convolution in the block: for export, where one operation says more than a sum of them."""
    token = _NATIVE.set(True)
    try:
        yield
    finally:
        _NATIVE.reset(token)


@keras.saving.register_keras_serializable(package="paceline")
class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc] # Keras publishes no types
    """Keras's `DepthwiseConv2D`, same arguments, weights and numbers, computed by shifted products on a CPU under JAX.

    Reloading a `.keras` file that holds it needs `import paceline.depthwise` before, and no unsafe mode.
    """

    def call(self, inputs: Any) -> Any:
        """Return the convolved `inputs`."""
        if _NATIVE.get() or not _slow_here() or not self._shiftable(inputs.shape):
            return super().call(inputs)
        outputs = shifted(inputs, self.kernel[..., 0], strides=self.strides, same=self.padding == "same")
        if self.use_bias:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs) if self.activation is not None else outputs

    def _shiftable(self, shape: tuple[int | None, ...]) -> bool:
        plain = self.data_format == "channels_last" and self.depth_multiplier == 1 and self.dilation_rate == (1, 1)
        return plain and all(side is not None for side in shape[1:3])


def shifted(inputs: Any, kernel: Any, *, strides: tuple[int, int], same: bool) -> Any:
    """Return the depthwise convolution of `inputs` (batch, height, width, channels) with `kernel` (y, x, channels).

    Args:
        inputs: images with known height and width.
        kernel: one plane of weights a channel.
        strides: vertical and horizontal.
        same: whether to pad with zeros as TensorFlow's SAME does, else not at all.
    """
    sides = [_padding(inputs.shape[axis + 1], kernel.shape[axis], strides[axis], same) for axis in (0, 1)]
    padded = ops.pad(inputs, [(0, 0), *(pad for pad, _ in sides), (0, 0)]) if same else inputs
    (_, height), (_, width) = sides
    total = None
    for y in range(kernel.shape[0]):
        for x in range(kernel.shape[1]):
            rows = slice(y, y + (height - 1) * strides[0] + 1, strides[0])
            columns = slice(x, x + (width - 1) * strides[1] + 1, strides[1])
            product = padded[:, rows, columns] * kernel[y, x]
            total = product if total is None else total + product
    return total


def _padding(length: int, kernel: int, stride: int, same: bool) -> tuple[tuple[int, int], int]:
    """Return the zeros before and after one axis, and the length that comes out.

    >>> _padding(7, 3, 2, True), _padding(8, 3, 2, True), _padding(8, 3, 1, False)
    (((1, 1), 4), ((0, 1), 4), ((0, 0), 6))
    """
    if not same:
        return (0, 0), (length - kernel) // stride + 1
    out = -(-length // stride)
    zeros = max((out - 1) * stride + kernel - length, 0)
    return (zeros // 2, zeros - zeros // 2), out


def _slow_here() -> bool:
    if keras.backend.backend() != "jax":
        return False
    import jax

    return bool(jax.default_backend() == "cpu")
