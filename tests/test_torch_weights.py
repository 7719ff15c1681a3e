"""Torch's old file format: tensors are read exactly, and nothing but tensors."""

from __future__ import annotations

import io
import os
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paceline import atomic, torch_weights
from paceline.errors import PacelineError


class Tensor:
    """Pickles as torch's tensors do: a view of the storage `key`."""

    def __init__(self, key: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.key, self.view = key, (offset, shape, strides)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the call that torch's files hold."""
        torch = sys.modules["torch._utils"]
        return torch._rebuild_tensor_v2, (Storage(self.key), *self.view, False, OrderedDict())


class Storage:
    """Stands for the numbers of one key."""

    def __init__(self, key: str) -> None:
        self.key = key


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Put a module in torch's place that only has the names that its files mention."""

    def _rebuild_tensor_v2() -> None:
        """Is never called: only its name is written."""

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    module, utilities = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage"):
        setattr(module, name, type(name, (), {"__module__": "torch", "__qualname__": name}))
    utilities._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined] # a module made here
    monkeypatch.setitem(sys.modules, "torch", module)
    monkeypatch.setitem(sys.modules, "torch._utils", utilities)
    return module


def written(torch: types.ModuleType, named: Any, numbers: dict[str, np.ndarray]) -> bytes:
    """Return what `torch.save` of 2019 writes for `named`."""
    kinds = {"f": torch.FloatStorage, "i": torch.LongStorage}

    class Pickler(pickle.Pickler):
        def persistent_id(self, of: Any) -> Any:
            if isinstance(of, Storage):
                values = numbers[of.key]
                return ("storage", kinds[values.dtype.kind], of.key, "cpu", len(values), None)
            return None

    file = io.BytesIO()
    for value in (torch_weights.MAGIC, torch_weights.PROTOCOL, {"little_endian": True}, named, sorted(numbers)):
        Pickler(file, protocol=2).dump(value)
    for key in sorted(numbers):
        file.write(len(numbers[key]).to_bytes(8, "little") + numbers[key].tobytes())
    return file.getvalue()


def parse(content: bytes) -> dict[str, Any]:
    """Return the tensors in `content`."""
    return torch_weights.parse(io.BytesIO(content), "x.pth")


def test_tensors_come_back_with_offset_and_strides(torch: types.ModuleType) -> None:
    """A tensor is a view of its storage: shifted, transposed, shared with another, without dimensions, or empty."""
    numbers = {"0": np.arange(12, dtype="<f4"), "1": np.array([7], "<i8")}
    named = OrderedDict(
        plain=Tensor("0", 0, (3, 4), (4, 1)),
        transposed=Tensor("0", 0, (4, 3), (1, 4)),
        shifted=Tensor("0", 6, (2, 2), (3, 1)),
        scalar=Tensor("1", 0, (), ()),
        empty=Tensor("0", 12, (0,), (1,)),
    )
    found = parse(written(torch, named, numbers))
    plain = np.arange(12, dtype=np.float32).reshape(3, 4)
    expected = {"plain": plain, "transposed": plain.T, "shifted": [[6, 7], [9, 10]], "scalar": 7, "empty": []}
    assert list(expected) == list(found)
    for name, values in expected.items():
        np.testing.assert_array_equal(values, found[name])
    assert np.int64 == found["scalar"].dtype
    assert all(values.flags.c_contiguous and values.flags.owndata for values in found.values())


@pytest.mark.parametrize(
    "view", [(0, (13,), (1,)), (6, (2, 4), (4, 1)), (13, (0,), (1,)), (0, (2,), (12,)), (0, (10**12,), (0,))]
)
def test_a_tensor_beyond_its_storage_is_refused(torch: types.ModuleType, view: Any) -> None:
    """Whatever offset, shape and strides say, memory outside the storage is never read, nor a huge one made."""
    content = written(torch, {"w": Tensor("0", *view)}, {"0": np.arange(12, dtype="<f4")})
    with pytest.raises(PacelineError, match="beyond its storage"):
        parse(content)


@pytest.mark.parametrize(
    "view", [(-1, (2,), (1,)), (0, (2,), (-1,)), (0, (2, 2), (1,)), (0, [2], (1,)), (0, (2.0,), (1,))]
)
def test_a_tensor_that_is_described_oddly_is_refused(torch: types.ModuleType, view: Any) -> None:
    """Offsets, shapes and strides are whole numbers of at least 0, as many strides as dimensions."""
    content = written(torch, {"w": Tensor("0", *view)}, {"0": np.arange(12, dtype="<f4")})
    with pytest.raises(PacelineError, match="holds no plain tensors"):
        parse(content)


def test_code_in_the_file_is_not_run(torch: types.ModuleType, tmp_path: Path) -> None:
    """A pickle that would call the system is refused by the name it calls, and does not call it."""

    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    for named in (Attack(), {"w": Attack()}):
        with pytest.raises(PacelineError, match=r"system, which is not allowed"):
            parse(written(torch, named, {}))
    assert not (tmp_path / "ran").exists()


def test_a_file_cut_anywhere_or_prolonged_is_refused(torch: types.ModuleType) -> None:
    """Every shorter file and every longer one is damaged."""
    content = written(torch, {"w": Tensor("0", 0, (3,), (1,))}, {"0": np.arange(3, dtype="<f4")})
    assert [0, 1, 2] == parse(content)["w"].tolist()
    for damaged in [*(content[:end] for end in range(len(content))), content + b"x"]:
        with pytest.raises(PacelineError):
            parse(damaged)


def test_the_checksum_comes_first(tmp_path: Path) -> None:
    """A file with another checksum is not parsed; a missing one is named."""
    (tmp_path / "x.pth").write_bytes(b"garbage")
    with pytest.raises(PacelineError, match="does not match its checksum"):
        torch_weights.read(tmp_path / "x.pth", "0" * 64)
    with pytest.raises(PacelineError, match="holds no plain tensors"):
        torch_weights.read(tmp_path / "x.pth", atomic.sha256(b"garbage"))
    with pytest.raises(PacelineError, match=r"'y\.pth' cannot be read"):
        torch_weights.read(tmp_path / "y.pth", "0" * 64)
