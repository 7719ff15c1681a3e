"""A trained Keras model as one ONNX file that is proved to give the same answers, or not written.

Keras exports (through `jax2onnx` for the JAX backend); this makes one file of it, names what goes in and comes out,
says where it is from, and holds it to the model on inputs of the caller's choice.

What JAX's export cannot do: max-pooling does not run in ONNX Runtime (use a strided convolution or average pooling),
and bilinear resizing fixes the batch size, 1 unless asked otherwise.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paceline import atomic, device
from paceline.errors import PacelineError

INPUT = "images"
TOLERANCE = 1e-3  # of logits and probabilities, whose rounding in another engine is about 1e-5
EXTRA = "pip install '.[onnx]'."


@dataclass(frozen=True)
class Exported:
    """An ONNX file and how far it can be trusted.

    Attributes:
        file: its name.
        sha256: of its content.
        size_bytes: of it.
        opset: the version of ONNX's operators.
        batch: the number of inputs at a time; None for any.
        outputs: the names of what comes out.
        max_abs_difference: the largest difference to the model, over all outputs and inputs compared.
        compared: how many inputs that was.
    """

    file: str
    sha256: str
    size_bytes: int
    opset: int
    batch: int | None
    outputs: tuple[str, ...]
    max_abs_difference: float
    compared: int

    def state(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {**asdict(self), "outputs": list(self.outputs)}


def to_onnx(
    model: Any,
    path: Path,
    examples: NDArray[Any],
    *,
    metadata: Mapping[str, str] | None = None,
    tolerance: float = TOLERANCE,
    fixed_batch: int = 1,
) -> Exported:
    """Write the trained Keras `model` to `path` as ONNX, in float32, for any batch size where that can be.

    Args:
        model: with one input.
        path: of the file; it appears whole or not at all.
        examples: real inputs (examples, ...) on which both must agree, as many as `fixed_batch` at least.
        metadata: kept in the file, by name; tell the run, the classes, the operating point.
        tolerance: the largest absolute difference allowed in any output.
        fixed_batch: the batch size where one has to be fixed.

    Raises:
        PacelineError: the extra `onnx` is missing, the model has an operation that cannot be exported or run, or the
            two differ by more than `tolerance`.
    """
    require(*{"jax": ["jax2onnx"], "tensorflow": ["tf2onnx"]}.get(device.keras_backend(), []))
    import keras

    inputs = np.ascontiguousarray(examples, dtype=np.float32)
    expected = _flat(keras, _in_batches(model.predict_on_batch, inputs, 32))
    names = [f"output_{place}" for place in range(len(expected))] if len(expected) > 1 else ["output"]
    if isinstance(model.output, dict):
        names = list(model.output)
    with tempfile.TemporaryDirectory() as folder:
        proto, batch = _convert(keras, model, Path(folder), fixed_batch)
    _name(proto, names)
    return keep(
        proto, path, inputs, expected, batch=batch, outputs=names, metadata=metadata, tolerance=tolerance
    )  # fmt: skip


def keep(
    proto: Any,
    path: Path,
    inputs: NDArray[np.float32],
    expected: Sequence[NDArray[np.float32]],
    *,
    batch: int | None = None,
    outputs: Sequence[str],
    metadata: Mapping[str, str] | None = None,
    tolerance: float = TOLERANCE,
) -> Exported:
    """Write an ONNX model to `path` where ONNX Runtime gives what was expected of it.

    Args:
        proto: the model, with one input.
        path: of the file; it appears whole or not at all.
        inputs: real ones, (examples, ...).
        expected: each output's answer to them.
        batch: the number of inputs at a time; None for any.
        outputs: their names.
        metadata: kept in the file, by name.
        tolerance: the largest absolute difference allowed in any output.

    Raises:
        PacelineError: it cannot be run, or differs by more than `tolerance`.
    """
    for key, value in {"producer": "paceline", **(metadata or {})}.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    content = proto.SerializeToString()
    session = _session(content)
    differences = []
    for size in (len(inputs), 1) if batch is None else (batch,):  # both must agree for a batch, and for one alone
        usable = inputs[: len(inputs) - len(inputs) % size]
        found = _in_batches(lambda rows: _run(session, rows), usable, size)
        for ours, theirs in zip(expected, found, strict=True):
            differences.append(np.abs(ours[: len(theirs)] - theirs).max())
    difference = float(np.max(differences))
    if not difference <= tolerance:  # a NaN is refused as well
        raise PacelineError(
            f"The ONNX file differs from the model by {difference:.2g} on {len(inputs)} inputs; {tolerance:.2g} is "
            "allowed.",
            "It was not written; raise the tolerance only if the difference does not matter to the decision.",
        )
    atomic.write_bytes(path, content)
    opset = next(entry.version for entry in proto.opset_import if entry.domain == "")
    compared = len(inputs) if batch is None else len(inputs) - len(inputs) % batch
    return Exported(path.name, atomic.sha256(content), len(content), opset, batch, tuple(outputs), difference, compared)


def require(*converters: str) -> None:
    """Refuse where a package that the export needs is missing.

    Raises:
        PacelineError: ONNX, its runtime or one of `converters` is not installed.
    """
    missing = [name for name in ("onnx", "onnxruntime", *converters) if importlib.util.find_spec(name) is None]
    if missing:
        raise PacelineError(f"Export to ONNX needs {' and '.join(missing)}, which is not installed.", EXTRA)


def _convert(keras: Any, model: Any, folder: Path, fixed_batch: int) -> tuple[Any, int | None]:
    """Return the ONNX model, all of it in memory, and the batch size if one had to be fixed."""
    import onnx

    from paceline import convolution

    problem = ""
    for batch in (None, fixed_batch):
        signature = keras.InputSpec(shape=(batch, *model.input_shape[1:]), dtype="float32", name=INPUT)
        file = folder / f"{batch}.onnx"
        try:
            with convolution.native(), _in_float32(keras, model):
                model.export(str(file), format="onnx", verbose=False, input_signature=[signature])
            return onnx.load(str(file)), batch
        except Exception as error:  # each converter has its own: a symbolic size, an unknown operation
            problem = problem or (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    raise PacelineError(
        f"The model cannot be converted to ONNX: {problem}.", "Replace the layer, or export with another backend."
    )


@contextmanager
def _in_float32(keras: Any, model: Any) -> Iterator[None]:
    """Compute in float32 in the block, as the export asks; the weights of mixed precision are float32 already."""
    layers = [layer for layer in model._flatten_layers() if not isinstance(layer, keras.Model)]
    policies = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = "float32"
        yield
    finally:
        for layer, policy in zip(layers, policies, strict=True):
            layer.dtype_policy = policy


def _name(proto: Any, names: list[str]) -> None:
    """Give the outputs names that say something."""
    new = {value.name: name for value, name in zip(proto.graph.output, names, strict=True)}
    for node in proto.graph.node:
        for values in (node.input, node.output):
            for place, name in enumerate(values):
                values[place] = new.get(name, name)
    for value in proto.graph.output:
        value.name = new[value.name]


def _session(content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised as well
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _run(session: Any, rows: NDArray[Any]) -> list[NDArray[Any]]:
    try:
        return list(session.run(None, {session.get_inputs()[0].name: rows}))
    except Exception as error:  # the runtime's own, one of a dozen
        detail = str(error).strip().splitlines()[0][:200]
        raise PacelineError(
            f"ONNX Runtime cannot run the model: {detail}.",
            "Max-pooling is the usual cause: use a strided convolution or average pooling.",
        ) from None


def _in_batches(compute: Any, rows: NDArray[Any], size: int) -> Any:
    """Return what `compute` gives for all `rows`, `size` at a time."""
    parts = [compute(rows[start : start + size]) for start in range(0, len(rows), size)]
    if isinstance(parts[0], dict):
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if isinstance(parts[0], (list, tuple)):
        return [np.concatenate(column) for column in zip(*parts, strict=True)]
    return np.concatenate(parts)


def _flat(keras: Any, outputs: Any) -> list[NDArray[Any]]:
    return [np.asarray(value, dtype=np.float32) for value in keras.tree.flatten(outputs)]
