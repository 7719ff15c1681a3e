"""What a Keras training managed, for the report and the record: examples a second, operations a step, memory.

Nothing here waits for the device or compiles: counts come from the loop, times from the clock, the operations from the
program that was compiled anyway.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from paceline import device
from paceline.recovery import Recovery

if TYPE_CHECKING:  # it imports Keras, and boosting asks here for its memory
    from paceline.batches import Batches


def facts(
    model: Any,
    train: Batches,
    *,
    steps: int,
    compiled_steps: int,
    recompilations: int | None,
    spans: Mapping[str, float],
    given_up: Recovery,
) -> dict[str, Any]:
    """Return the facts of one training in one session.

    Args:
        model: the Keras model that was trained.
        train: what it was trained on.
        steps: steps done; of several micro-batches each is a step.
        compiled_steps: those of them that compiled and are no measure of the others.
        recompilations: of the step, more than there are to be; None where the backend does not tell.
        spans: the seconds that this training spent, by the name of the clock's span.
        given_up: see `recovery.Recovery`.

    Returns:
        `steps`, `batch_size` (of an update), `micro_batches`, `rollbacks`, `examples_per_second` (None without a step
        that did not compile), `input_examples_per_second` (what the making of batches could give at most),
        `compile_seconds`, `recompilations`, `parameters`, `trainable_parameters`, `convolutions` (whether it has any),
        `flops_per_step` (None where the backend does not tell), `peak_memory_bytes` (of the process, until now),
        `peak_device_memory_bytes` (None on a CPU).
    """
    seconds = spans.get("train", 0.0) + spans.get("input_wait", 0.0)
    counted = steps - compiled_steps
    return {
        "steps": steps,
        "batch_size": train.batch_size,
        "micro_batches": given_up.micro_batches,
        "rollbacks": given_up.rollbacks,
        "examples_per_second": counted * train.rows / seconds if counted > 0 and seconds > 0 else None,
        "input_examples_per_second": train.examples_per_second(),
        "compile_seconds": sum(each for name, each in spans.items() if name.partition("/")[0] == "compile"),
        "recompilations": recompilations,
        "parameters": model.count_params(),
        "trainable_parameters": trainable_parameters(model),
        "convolutions": any(len(variable.shape) >= 4 for variable in model.weights),  # their kernels
        "flops_per_step": flops_per_step(model, train),
        "peak_memory_bytes": peak_memory_bytes(),
        "peak_device_memory_bytes": peak_device_memory_bytes(),
    }


def trainable_parameters(model: Any) -> int:
    """Return how many numbers of a Keras model are trained."""
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def flops_per_step(model: Any, train: Batches) -> float | None:
    """Return the floating-point operations of a training step, forward, backward and update, as XLA counts them.

    JAX finds the step that it has traced already, so this takes milliseconds to tenths of a second.
    """
    if device.keras_backend() != "jax":
        return None
    flops = (lowered_step(model, train).cost_analysis() or {}).get("flops")
    return None if flops is None else float(flops)


def lowered_step(model: Any, train: Batches, *, platform: str | None = None) -> Any:
    """Return the training step of a model as JAX hands it to XLA, for the device in use or another `platform`.

    Another platform, `tpu` say, need not be here: the step is lowered, not compiled.
    """
    import jax

    def shape(array: Any) -> Any:
        return jax.ShapeDtypeStruct(tuple(array.shape), jax.dtypes.canonicalize_dtype(array.dtype))

    variables = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple([shape(variable.value) for variable in part] for part in variables)
    step = jax.jit(model.train_step, donate_argnums=0)
    shapes = jax.tree.map(shape, train.example())
    if platform is None:
        return step.lower(state, shapes)
    return step.trace(state, shapes).lower(lowering_platforms=(platform,))


def peak_memory_bytes() -> int | None:
    """Return the most memory that this process has held; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return getattr(psutil.Process().memory_info(), "peak_wset", None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_device_memory_bytes() -> int | None:
    """Return the most memory that was in use on the first accelerator; None on a CPU."""
    backend = device.keras_backend()
    if backend == "jax":
        import jax

        return (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    if backend == "torch":
        import torch

        return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else None
    return None
