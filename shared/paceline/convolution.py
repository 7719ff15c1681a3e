"""Convolutions that are fast on a CPU as well: shifted products for depthwise ones, a matrix product for 1x1.

XLA's CPU compiler runs a depthwise convolution as many small convolutions, and the gradients of a 1x1 convolution as a
convolution with a window as large as the image. The same sums, written as products of shifted views and as a matrix
product, are equal up to the order of additions; `ci/benchmarks/transfer.py` has what they bring. Elsewhere, and for
other convolutions, Keras's own are used.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
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

    Reading a `.keras` file that holds it needs `import paceline.convolution` before, and no unsafe mode.
    """

    def call(self, inputs: Any) -> Any:
        """Return the convolved `inputs`."""
        plain = self.depth_multiplier == 1 and self.dilation_rate == (1, 1)
        if not (plain and _rewritten(self, inputs)):
            return super().call(inputs)
        outputs = shifted(inputs, self.kernel[..., 0], strides=self.strides, same=self.padding == "same")
        return _finished(self, outputs)


@keras.saving.register_keras_serializable(package="paceline")
class Conv2D(keras.layers.Conv2D):  # type: ignore[misc] # Keras publishes no types
    """Keras's `Conv2D`, same arguments, weights and numbers; a kernel of 1x1 is a matrix product on a CPU under JAX.

    Reading a `.keras` file that holds it needs `import paceline.convolution` before, and no unsafe mode.
    """

    def call(self, inputs: Any) -> Any:
        """Return the convolved `inputs`."""
        pointwise = self.kernel_size == (1, 1) and self.strides == (1, 1) and self.groups == 1
        if not (pointwise and _rewritten(self, inputs)):
            return super().call(inputs)
        rows = ops.reshape(inputs, (-1, inputs.shape[-1]))
        outputs = ops.reshape(ops.matmul(rows, self.kernel[0, 0]), (-1, *inputs.shape[1:3], self.filters))
        return _finished(self, outputs)


def _rewritten(layer: Any, inputs: Any) -> bool:
    """Whether convolution is slow here, and the shape of `inputs` known well enough to do better."""
    known = layer.data_format == "channels_last" and all(side is not None for side in inputs.shape[1:3])
    return known and not _NATIVE.get() and _slow_here()


def _finished(layer: Any, outputs: Any) -> Any:
    """Return `outputs` with the layer's bias and activation."""
    if layer.use_bias:
        outputs = ops.add(outputs, layer.bias)
    return layer.activation(outputs) if layer.activation is not None else outputs


def shifted(inputs: Any, kernel: Any, *, strides: tuple[int, int], same: bool) -> Any:
    """Return the depthwise convolution of `inputs` (batch, height, width, channels) with `kernel` (y, x, channels).

    For JAX; its gradients are shifted products too, of first order and in reverse mode alone, as training needs them.

    Args:
        inputs: images with known height and width.
        kernel: one plane of weights a channel.
        strides: vertical and horizontal.
        same: whether to pad with zeros as TensorFlow's SAME does, else not at all.
    """
    return _shifted()(inputs, kernel, strides, same)


@functools.cache
def _shifted() -> Callable[..., Any]:
    """Return `shifted` with its gradients; made when first used, for JAX may not be the backend.

    Training computes one image after the other, prediction all at once: XLA would else, in training, compute the
    activation before the convolution anew for each place of the kernel, and for each of the sums.
    """
    import jax
    from jax import numpy as jnp

    def at_once(inputs: Any, kernel: Any, strides: tuple[int, int], same: bool) -> Any:
        views = _views(jnp, inputs, kernel.shape, strides, same)
        return functools.reduce(jnp.add, (view * kernel[y, x] for (y, x), view in views))

    def one_by_one(inputs: Any, kernel: Any, strides: tuple[int, int], same: bool) -> tuple[Any, tuple[Any, Any]]:
        outputs = jax.lax.map(lambda image: at_once(image[None], kernel, strides, same)[0], inputs)
        return outputs, (inputs, kernel)

    def backward(strides: tuple[int, int], same: bool, saved: tuple[Any, Any], gradient: Any) -> tuple[Any, Any]:
        inputs, kernel = saved

        def add(sums: Any, pair: tuple[Any, Any]) -> tuple[Any, None]:
            image, of_image = (value[None] for value in pair)
            views = _views(jnp, image, kernel.shape, strides, same)
            products = tuple((view * of_image).astype(jnp.float32) for _, view in views)
            # One pass for the sums of all places: as sums of their own they took 4 to 14 times as long.
            found = jax.lax.reduce(products, (jnp.float32(0),) * len(products), _add_each, (0, 1, 2))
            return sums + jnp.stack(found), None

        empty = jnp.zeros((kernel.shape[0] * kernel.shape[1], kernel.shape[2]), jnp.float32)
        of_kernel = jax.lax.scan(add, empty, (inputs, gradient))[0].reshape(kernel.shape).astype(kernel.dtype)
        return turned(inputs.shape, kernel, strides, same, gradient), of_kernel

    def turned(shape: tuple[int, ...], kernel: Any, strides: tuple[int, int], same: bool, gradient: Any) -> Any:
        """Return the gradient of the inputs: the kernel turned over, on the gradient spread out by the strides."""
        pads = []
        for axis in (0, 1):
            (before, _), length = _padding(shape[axis + 1], kernel.shape[axis], strides[axis], same)
            spread = (length - 1) * strides[axis] + 1
            pads.append((kernel.shape[axis] - 1 - before, shape[axis + 1] + before - spread, strides[axis] - 1))
        padded = jax.lax.pad(gradient, jnp.zeros((), gradient.dtype), ((0, 0, 0), *pads, (0, 0, 0)))
        return at_once(padded, kernel[::-1, ::-1], (1, 1), False)

    convolve = jax.custom_vjp(at_once, nondiff_argnums=(2, 3))
    convolve.defvjp(one_by_one, backward)
    return convolve  # type: ignore[no-any-return] # JAX's types are not followed


def _views(
    jnp: Any, inputs: Any, kernel: tuple[int, ...], strides: tuple[int, int], same: bool
) -> Iterator[tuple[tuple[int, int], Any]]:
    """Yield each place of the kernel, and what of the padded inputs it is multiplied with."""
    (rows, height), (columns, width) = (
        _padding(inputs.shape[axis + 1], kernel[axis], strides[axis], same) for axis in (0, 1)
    )
    padded = jnp.pad(inputs, [(0, 0), rows, columns, (0, 0)])
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            down = slice(y, y + (height - 1) * strides[0] + 1, strides[0])
            along = slice(x, x + (width - 1) * strides[1] + 1, strides[1])
            yield (y, x), padded[:, down, along]


def _add_each(some: tuple[Any, ...], others: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(one + other for one, other in zip(some, others, strict=True))


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
