"""Tensors from a file that `torch.save` wrote before version 1.6, read without torch and without running its code.

Such a file is five pickles and the numbers after them. A pickle may call anything; this reader's knows four names, all
of them data: `OrderedDict`, and of torch `FloatStorage`, `LongStorage` and `_rebuild_tensor_v2`. Everything else in it
is refused, and so is a file whose checksum is not the expected one, before anything is parsed.
"""

from __future__ import annotations

import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paceline import checkpoint
from paceline.errors import PacelineError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
REMEDY = "Install the package again, or use weights from a source you trust."


@dataclass(frozen=True)
class _Kind:
    """A type of storage, named in a pickle."""

    dtype: np.dtype[Any]


@dataclass(frozen=True)
class _Storage:
    """A block of numbers, which come after the pickles."""

    key: str
    kind: _Kind
    numbers: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage: offset, shape and strides in numbers, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: object, offset: object, shape: object, strides: object, *_: object) -> _Tensor:
    """Stand in for `torch._utils._rebuild_tensor_v2`; what else it takes concerns gradients."""
    whole = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides)
    if not (isinstance(storage, _Storage) and whole and _counts(offset, *shape, *strides)):  # type: ignore[misc] # a tuple by now
        raise pickle.UnpicklingError("a tensor is not described by a storage and whole numbers")
    return _Tensor(storage, offset, shape, strides)  # type: ignore[arg-type] # checked above


def _counts(*values: object) -> bool:
    return all(type(value) is int and value >= 0 for value in values)


KNOWN: dict[tuple[str, str], Callable[..., Any] | _Kind] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): _Kind(np.dtype("<f4")),
    ("torch", "LongStorage"): _Kind(np.dtype("<i8")),
}


class _Unpickler(pickle.Unpickler):
    """Knows the names in `KNOWN` and, as persistent objects, storages."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not allowed") from None

    def persistent_load(self, pid: Any) -> _Storage:
        if not (isinstance(pid, tuple) and len(pid) == 6 and pid[0] == "storage" and pid[5] is None):
            raise pickle.UnpicklingError("it refers to something that is no storage")
        _, kind, key, _, numbers, _ = pid
        if not (isinstance(kind, _Kind) and isinstance(key, str) and _counts(numbers)):
            raise pickle.UnpicklingError("a storage is not described by type, key and length")
        return _Storage(key, kind, numbers)


def read(path: Path, sha256: str) -> dict[str, NDArray[Any]]:
    """Return the tensors of a state dictionary by name, each a contiguous array of its own.

    Args:
        path: the file.
        sha256: of the file, in lower-case hexadecimal.

    Raises:
        PacelineError: the file is missing, has another checksum, or holds anything else than tensors.
    """
    try:
        file = io.BytesIO(checkpoint.read_verified(path, sha256))
    except OSError as error:
        raise PacelineError(f"'{path.name}' cannot be read: {error.strerror}.", REMEDY) from None
    return parse(file, path.name)


def parse(file: io.BytesIO, name: str) -> dict[str, NDArray[Any]]:
    """Return the tensors of `file`, called `name` in messages; see `read`.

    Raises:
        PacelineError: the file holds anything else than tensors.
    """
    try:
        head = (_Unpickler(file).load(), _Unpickler(file).load())
        machine = _Unpickler(file).load()
        if head != (MAGIC, PROTOCOL) or machine.get("little_endian") is not True:
            raise ValueError("it is not torch's old format with little-endian numbers")
        named, keys = _Unpickler(file).load(), _Unpickler(file).load()
        if not all(isinstance(key, str) and isinstance(value, _Tensor) for key, value in named.items()):
            raise ValueError("it holds something else than named tensors")
        storages = {tensor.storage.key: tensor.storage for tensor in named.values()}
        if set(keys) != set(storages) or len(keys) != len(storages):
            raise ValueError("its list of storages is not that of its tensors")
        numbers = {key: _numbers(file, storages[key]) for key in keys}
        if file.read(1):
            raise ValueError("something stands after its last number")
        return {key: _view(tensor, numbers[tensor.storage.key]) for key, tensor in named.items()}
    except (pickle.UnpicklingError, ValueError, TypeError, AttributeError, KeyError, IndexError, EOFError) as error:
        raise PacelineError(f"'{name}' holds no plain tensors: {error}.", REMEDY) from None


def _numbers(file: io.BytesIO, storage: _Storage) -> NDArray[Any]:
    if int.from_bytes(file.read(8), "little") != storage.numbers:
        raise ValueError(f"storage {storage.key} does not have the length that its tensors say")
    data = file.read(storage.numbers * storage.kind.dtype.itemsize)
    if len(data) != storage.numbers * storage.kind.dtype.itemsize:
        raise ValueError(f"storage {storage.key} is cut short")
    return np.frombuffer(data, storage.kind.dtype)


def _view(tensor: _Tensor, numbers: NDArray[Any]) -> NDArray[Any]:
    """Return the tensor, once it is sure that all of it lies within its storage."""
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))
    size = math.prod(tensor.shape)
    if size > len(numbers) or (size and last >= len(numbers)) or tensor.offset > len(numbers):
        raise ValueError("a tensor reaches beyond its storage")
    strides = [step * numbers.itemsize for step in tensor.strides]
    view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
    return np.array(view, order="C")
