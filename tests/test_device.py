"""What the machine has and what is chosen: never a silent fallback, never a hang."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import xgboost

from paceline import device
from paceline.errors import PacelineError

H200 = {"name": "NVIDIA H200", "memory_gb": 140.4, "driver": "580.65.06"}


def machine(monkeypatch: pytest.MonkeyPatch, *, gpu: bool, cuda: bool) -> None:
    """Let the machine have a GPU or not, and XGBoost be built with CUDA or not."""
    monkeypatch.setattr(device, "gpus", lambda: (H200,) if gpu else ())
    monkeypatch.setattr(xgboost, "build_info", lambda: {"USE_CUDA": cuda})


@pytest.mark.parametrize(
    ("rows", "gpu", "cuda", "kind", "reason"),
    [
        (99_999, True, True, "cpu", "99,999 training rows are under 100,000, taken as too few for a GPU"),
        (100_000, True, True, "gpu", "100,000 training rows are at least 100,000"),
        (10**6, True, False, "cpu", "NVIDIA H200 is here, but this XGBoost is built without CUDA (extra cuda13)"),
        (10**6, False, True, "cpu", "no GPU is here"),
        (10**6, False, False, "cpu", "no GPU is here"),
    ],
)
def test_auto_chooses_by_size_and_says_why(
    rows: int, gpu: bool, cuda: bool, kind: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU where it is here, usable and worth it; the reason goes into the record."""
    machine(monkeypatch, gpu=gpu, cuda=cuda)
    chosen = device.for_xgboost("auto", rows=rows)
    assert ("auto", kind, reason, "float32") == (chosen.requested, chosen.kind, chosen.reason, chosen.precision)
    assert ("NVIDIA H200" if kind == "gpu" else device.hardware()["cpu"]) == chosen.name
    assert device.usable_cores() == chosen.threads
    fields = {"requested", "kind", "name", "reason", "precision", "threads", "compilation_cache", "devices"}
    assert fields == set(chosen.state())


@pytest.mark.parametrize("rows", [10, 10**6])
def test_a_gpu_asked_for_is_used_whatever_the_size(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for is used."""
    machine(monkeypatch, gpu=True, cuda=True)
    assert "gpu" == device.for_xgboost("gpu", rows=rows).kind


def test_the_cpu_asked_for_is_used_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a GPU would be faster."""
    machine(monkeypatch, gpu=True, cuda=True)
    chosen = device.for_xgboost("cpu", rows=10**7)
    assert ("cpu", "the CPU was asked for") == (chosen.kind, chosen.reason)


@pytest.mark.parametrize(
    ("requested", "gpu", "expected"),
    [
        (
            "gpu",
            False,
            "A GPU was asked for, but the NVIDIA driver reports none here. Install the driver (580",
        ),
        (
            "gpu",
            True,
            "A GPU was asked for, but this XGBoost is built without CUDA. Install the lock with CUDA in place of "
            "xgboost-cpu: pip uninstall xgboost-cpu, then pip install --require-hashes -r locks/cuda13.txt.",
        ),
        ("tpu", True, "XGBoost does not run on a TPU (train.device is 'tpu'). Use --device auto, cpu or gpu."),
    ],
)
def test_a_device_that_cannot_be_had_is_an_error_with_the_remedy(
    requested: str, gpu: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver or the extra is named."""
    machine(monkeypatch, gpu=gpu, cuda=False)
    with pytest.raises(PacelineError) as refused:
        device.for_xgboost(requested, rows=10**6)
    assert str(refused.value).startswith(expected)


def driver(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Any:
    """Put a program in the place of nvidia-smi and return what is found."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setattr(device.shutil, "which", lambda name: str(program) if name == "nvidia-smi" else None)
    return device.gpus.__wrapped__()


@pytest.mark.parametrize(
    ("expected", "script"),
    [
        ((H200,), "echo 'NVIDIA H200, 143771, 580.65.06'"),
        ((H200, H200), "echo 'NVIDIA H200, 143771, 580.65.06'; echo 'NVIDIA H200, 143771, 580.65.06'"),
        (({"name": "NVIDIA GB10", "memory_gb": None, "driver": "580"},), "echo 'NVIDIA GB10, [N/A], 580'"),
        ((), "echo 'No devices were found'"),
        ((), "echo; echo 'a, b'"),
        ((), "echo 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.'; exit 9"),
        ((), ""),
    ],
)
def test_gpus_are_what_the_driver_reports(
    expected: Any, script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One entry a GPU; whatever else it says is none."""
    assert expected == driver(tmp_path, monkeypatch, script)


def test_a_driver_that_hangs_does_not_hang_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is waited for as long as `PROBE_SECONDS`, then there is no GPU."""
    monkeypatch.setattr(device, "PROBE_SECONDS", 0.2)
    waited: list[float] = []
    run = subprocess.run

    def note(*arguments: Any, timeout: float, **more: Any) -> Any:
        waited.append(timeout)
        return run(*arguments, timeout=timeout, **more)

    monkeypatch.setattr(device.subprocess, "run", note)
    assert () == driver(tmp_path, monkeypatch, "exec sleep 600")
    assert [0.2] == waited


def test_the_wait_for_a_driver_leaves_time_for_the_error() -> None:
    """An unusable device is reported within ten seconds."""
    assert device.PROBE_SECONDS <= 5


def test_without_the_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program, no question asked."""
    monkeypatch.setattr(device.shutil, "which", lambda _: None)
    monkeypatch.setattr(device.subprocess, "run", None)
    assert () == device.gpus.__wrapped__()


def container(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    """Let the control group have these files and no other."""
    read_text = Path.read_text

    def read(path: Path, *arguments: Any, **more: Any) -> str:
        if str(path).startswith("/sys/fs/cgroup/"):
            if path.name not in files:
                raise FileNotFoundError(path)
            return files[path.name]
        return read_text(path, *arguments, **more)

    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda _: set(range(16)), raising=False)


@pytest.mark.parametrize(
    ("expected", "files"),
    [
        (16, {}),
        (16, {"cpu.max": "max 100000\n"}),
        (4, {"cpu.max": "400000 100000\n"}),
        (1, {"cpu.max": "20000 100000\n"}),
        (16, {"cpu.max": "6400000 100000\n"}),
    ],
)
def test_cores_are_those_that_the_container_may_use(
    expected: int, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The affinity, less the quota, and one at least."""
    container(monkeypatch, files)
    assert expected == device.usable_cores()


@pytest.mark.parametrize(("expected", "limit"), [(2.0, str(2 * 2**30)), (None, "max\n"), (None, str(2**62))])
def test_memory_is_what_the_container_may_use(
    expected: float | None, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit where there is one below the machine's memory, else that."""
    import psutil

    container(monkeypatch, {"memory.max": limit})
    total = round(psutil.virtual_memory().total / 2**30, 1)
    assert (expected or total) == device.hardware.__wrapped__()["memory_gb"]


def test_hardware_has_every_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record names the processor, the cores, the memory, the system and the accelerators."""
    monkeypatch.setattr(device, "gpus", lambda: (H200,))
    found = device.hardware.__wrapped__()
    assert {"cpu", "cores", "memory_gb", "os", "accelerators"} == set(found)
    assert found["cpu"]
    assert found["cores"] >= 1
    assert found["memory_gb"] > 0
    assert [H200] == found["accelerators"]


@pytest.mark.parametrize(
    ("kind", "capability", "asked", "expected"),
    [
        ("gpu", "9.0", "auto", "mixed_bfloat16"),
        ("gpu", "8.0", "auto", "mixed_bfloat16"),
        ("gpu", "7.5", "auto", "float32"),
        ("gpu", None, "auto", "float32"),
        ("gpu", "7.5", "mixed_bfloat16", "mixed_bfloat16"),
        ("gpu", "9.0", "float32", "float32"),
        ("tpu", None, "auto", "mixed_bfloat16"),
        ("tpu", None, "float32", "float32"),
        ("cpu", None, "auto", "float32"),
        ("cpu", None, "mixed_bfloat16", "mixed_bfloat16"),
    ],
)
def test_a_network_computes_in_bfloat16_where_the_device_is_faster_in_it(
    kind: str, capability: str | None, asked: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GPUs from compute capability 8.0 on, and TPUs; what is asked for by name is taken on any device."""
    import jax

    chip = SimpleNamespace(device_kind="TPU v5 lite", **({"compute_capability": capability} if capability else {}))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(jax, "devices", lambda *_: [chip])
    monkeypatch.setattr(device, "gpus", lambda: (H200,) if kind == "gpu" else ())
    monkeypatch.setattr(device, "_backend_has", lambda backend, wanted: wanted == kind)
    chosen = device.for_keras("auto", precision=asked)
    assert (kind, expected) == (chosen.kind, chosen.precision)


KERAS = """
import json, sys
from paceline import device
from paceline.errors import PacelineError
device.gpus = lambda: ({"name": "NVIDIA H200", "memory_gb": 140.4, "driver": "580"},) if "with_gpu" in sys.argv else ()
try:
    print(json.dumps(device.for_keras(sys.argv[1]).state()))
except PacelineError as error:
    print(json.dumps({"error": str(error)}))
    sys.exit()
import jax
assert jax.default_backend() == "cpu"
assert "keras" not in sys.modules
"""


def for_keras(environment: dict[str, str], *arguments: str, **variables: str) -> dict[str, Any]:
    """Choose a device for Keras in a process of its own: a backend chooses once."""
    kept = {name: value for name, value in environment.items() if name not in ("KERAS_BACKEND", "JAX_PLATFORMS")}
    answer = subprocess.run(
        [sys.executable, "-c", KERAS, *arguments], check=True, capture_output=True, text=True,
        env={**kept, **variables},
    )  # fmt: skip
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("cpu",), "the CPU was asked for"),
        (("auto",), "no GPU is here"),
        (("auto", "with_gpu"), "NVIDIA H200 is here, but jax cannot use it (extra cuda13)"),
    ],
)
def test_keras_computes_on_the_cpu_and_says_why(
    arguments: tuple[str, ...], reason: str, process_environment: dict[str, str]
) -> None:
    """JAX is the default backend, told before Keras is imported; a GPU it cannot use is named."""
    if "with_gpu" in arguments and device._jax_has("gpu"):
        pytest.skip("this machine's JAX can use a GPU")
    found = for_keras(process_environment, *arguments)
    assert (arguments[0], "cpu", reason, "float32") == tuple(
        found[key] for key in ("requested", "kind", "reason", "precision")
    )


@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        (("gpu",), {}, "A GPU was asked for, but the NVIDIA driver reports none here. Install the driver"),
        (
            ("gpu", "with_gpu"),
            {},
            "A GPU was asked for, but jax does not find one. Install the lock with CUDA in place of xgboost-cpu",
        ),
        (("tpu",), {}, "A TPU was asked for, but the backend 'jax' has no TPU support here. On a TPU machine"),
        (("cpu",), {"KERAS_BACKEND": "abacus"}, "KERAS_BACKEND is 'abacus', which is not installed. Install it, or"),
    ],
)
def test_keras_is_refused_what_it_cannot_have(
    arguments: tuple[str, ...], variables: dict[str, str], expected: str, process_environment: dict[str, str]
) -> None:
    """An error with the remedy, whatever stands in the environment."""
    if "with_gpu" in arguments and device._jax_has("gpu"):
        pytest.skip("this machine's JAX can use a GPU")
    assert for_keras(process_environment, *arguments, **variables)["error"].startswith(expected)
