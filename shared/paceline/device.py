"""What the machine has, what was asked for, what is used: a device that cannot be had is an error, never a fallback.

`hardware` and `gpus` own what is here and need no framework. `for_xgboost` and `for_keras` own the choice for one
engine and the proof that the engine can use it; the answer, a `Device`, goes into every run record.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from paceline.errors import PacelineError

JAX_PLUGINS = {"gpu": ("jax_cuda13_plugin", "jax_cuda12_plugin"), "tpu": ("libtpu",), "cpu": ()}
# Below this a GPU is taken to lose to the CPU in boosting: copying and launching cost more than the histograms save.
# An assumption of the field's, not measured with this version.
XGBOOST_GPU_ROWS = 100_000
BFLOAT16_CAPABILITY = 8.0  # NVIDIA's compute capability
PROBE_SECONDS = 5.0  # for a driver's answer; a driver that hangs must not hang the user


@dataclass(frozen=True)
class Device:
    """The device that a run computes on.

    Attributes:
        requested: what the user asked for: auto, cpu, gpu or tpu.
        kind: what is used: cpu, gpu or tpu.
        name: the processor's or accelerator's name.
        reason: why this one, in a sentence.
        precision: what the engine computes in, `float32` or `mixed_bfloat16`.
        threads: threads that the engine may use on the CPU.
        compilation_cache: the folder where compiled programs are kept for the next run; empty where they are not.
        devices: how many of the kind a batch is divided among, those of all hosts together.
    """

    requested: str
    kind: str
    name: str
    reason: str
    precision: str
    threads: int
    compilation_cache: str = ""
    devices: int = 1

    def state(self) -> dict[str, Any]:
        """Return the fields as JSON types, as the run record keeps them."""
        return asdict(self)


@functools.cache
def hardware() -> dict[str, Any]:
    """Return the machine as seen by this process, limits of its container included.

    Returns:
        `cpu` (model), `cores` (usable ones), `memory_gb` (limit), `os`, `accelerators` (see `gpus`).
    """
    import psutil

    memory_bytes = min(psutil.virtual_memory().total, _cgroup_memory_bytes())
    return {
        "cpu": _cpu_name(),
        "cores": usable_cores(),
        "memory_gb": round(memory_bytes / 2**30, 1),
        "os": f"{platform.system()} {platform.release()}",
        "accelerators": list(gpus()),
    }


def usable_cores() -> int:
    """Return how many cores this process may use: its affinity, less a container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max": no quota
        pass
    return cores


@functools.cache
def gpus() -> Sequence[dict[str, Any]]:
    """Return the NVIDIA GPUs that the driver reports: `name`, `memory_gb`, `driver`; none where it does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=PROBE_SECONDS, check=True)  # noqa: S603 -- a fixed command
    except (OSError, subprocess.SubprocessError):
        return ()
    found = []
    for line in answer.stdout.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) != 3:  # a sentence instead of a GPU: "No devices were found"
            continue
        name, memory_mib, driver = parts
        memory_gb = round(float(memory_mib) / 1024, 1) if memory_mib.replace(".", "").isdigit() else None
        found.append({"name": name, "memory_gb": memory_gb, "driver": driver})
    return tuple(found)


def refuse_unusable(requested: str, *, boosting: bool = False) -> None:
    """Refuse a GPU or TPU that was asked for and cannot be used, as far as that is known before anything is loaded.

    What reads data for minutes asks this first; `for_xgboost` and `for_keras` prove the rest.

    Args:
        requested: `train.device`; `auto` and `cpu` are never refused.
        boosting: whether XGBoost is to use it, not Keras.

    Raises:
        PacelineError: see `for_xgboost` and `for_keras`.
    """
    if requested not in ("gpu", "tpu"):
        return
    if boosting:
        for_xgboost(requested, rows=0)
        return
    backend = keras_backend()
    if requested == "gpu" and not gpus():
        raise _no_driver()
    if requested == "tpu" and (backend != "jax" or importlib.util.find_spec("libtpu") is None):
        raise PacelineError(
            f"A TPU was asked for, but the backend '{backend}' has no TPU support here.",
            "On a TPU machine, install jax[tpu] and set KERAS_BACKEND=jax.",
        )
    if backend == "jax" and not any(importlib.util.find_spec(plugin) for plugin in JAX_PLUGINS[requested]):
        raise _not_found(requested, backend)


def for_xgboost(requested: str, *, rows: int) -> Device:
    """Choose the device for boosting on `rows` training rows.

    `auto` takes a GPU from 100,000 rows on; below, the CPU is taken to be faster.

    Raises:
        PacelineError: the device asked for cannot be used; the remedy names the extra or the driver.
    """
    if requested == "tpu":
        raise PacelineError("XGBoost does not run on a TPU (train.device is 'tpu').", "Use --device auto, cpu or gpu.")
    if requested == "cpu":
        return _cpu(requested, "the CPU was asked for")
    import xgboost

    cuda_build = bool(xgboost.build_info().get("USE_CUDA"))
    if requested == "gpu":
        if not gpus():
            raise _no_driver()
        if not cuda_build:
            raise PacelineError("A GPU was asked for, but this XGBoost is built without CUDA.", _with_cuda())
        return _gpu(requested, "a GPU was asked for", "float32")
    if not gpus():
        return _cpu(requested, "no GPU is here")
    if not cuda_build:
        return _cpu(requested, f"{gpus()[0]['name']} is here, but this XGBoost is built without CUDA (extra cuda13)")
    if rows < XGBOOST_GPU_ROWS:
        return _cpu(requested, f"{rows:,} training rows are under {XGBOOST_GPU_ROWS:,}, taken as too few for a GPU")
    return _gpu(requested, f"{rows:,} training rows are at least {XGBOOST_GPU_ROWS:,}", "float32")


def cpu_only(requested: str, what: str) -> Device:
    """Return the CPU for what runs on nothing else; `what` names it in the reason.

    Raises:
        PacelineError: another device was asked for.
    """
    if requested not in ("auto", "cpu"):
        raise PacelineError(
            f"A {requested.upper()} was asked for, but {what} runs on the CPU.", "Use --device auto or cpu."
        )
    return _cpu(requested, "the CPU was asked for" if requested == "cpu" else f"{what} runs on the CPU")


def keras_backend() -> str:
    """Return the backend that Keras computes with, `KERAS_BACKEND` or else JAX; call before Keras is imported.

    Without it Keras would take what its own file in the home folder says, or TensorFlow.

    Raises:
        PacelineError: the backend is not installed.
    """
    backend = os.environ.setdefault("KERAS_BACKEND", "jax")
    if importlib.util.find_spec(backend) is None:
        raise PacelineError(
            f"KERAS_BACKEND is '{backend}', which is not installed.", "Install it, or unset KERAS_BACKEND for JAX."
        )
    return backend


def for_keras(requested: str, *, precision: str = "auto") -> Device:
    """Choose the device for Keras, tell the backend, and prove that it is there; call before anything is computed.

    The backend is that of `keras_backend`. A `precision` of `auto` is mixed bfloat16 where the device multiplies in it
    faster (TPUs, GPUs from compute capability 8.0 on), else float32; another is taken as asked for.

    Raises:
        PacelineError: the backend is not installed, or the device asked for cannot be used.
    """
    refuse_unusable(requested)
    backend = keras_backend()
    kinds = (requested,) if requested != "auto" else ("tpu", "gpu", "cpu")
    for kind in kinds:
        if _backend_has(backend, kind):
            if kind == "cpu":
                here = (
                    f"{gpus()[0]['name']} is here, but {backend} cannot use it (extra cuda13)"
                    if gpus()
                    else "no GPU is here"
                )
                chosen = _cpu(requested, "the CPU was asked for" if requested == "cpu" else here)
                return chosen if precision == "auto" else replace(chosen, precision=precision)
            reason = f"a {kind.upper()} was asked for" if requested == kind else f"{backend} finds a {kind.upper()}"
            if precision == "auto":
                precision = "mixed_bfloat16" if kind == "tpu" or _gpu_has_bfloat16(backend) else "float32"
            return _gpu(requested, reason, precision) if kind == "gpu" else _tpu(requested, reason, precision)
    raise _not_found(requested, backend)


def _not_found(requested: str, backend: str) -> PacelineError:
    return PacelineError(
        f"A {requested.upper()} was asked for, but {backend} does not find one.",
        _with_cuda() if requested == "gpu" else "Run on a TPU machine.",
    )


def _with_cuda() -> str:
    """Return how to install what computes on a GPU; the two wheels of XGBoost must not lie over each other."""
    install = "pip install --require-hashes -r locks/cuda13.txt"
    try:
        metadata.distribution("xgboost-cpu")
    except metadata.PackageNotFoundError:
        return f"Install the lock with CUDA: {install}."
    return f"Install the lock with CUDA in place of xgboost-cpu: pip uninstall xgboost-cpu, then {install}."


def _backend_has(backend: str, kind: str) -> bool:
    """Whether `backend` can compute on `kind`; asking for the CPU keeps the backend off every accelerator."""
    if backend == "jax":
        return _jax_has(kind)
    if kind == "tpu":
        return False
    if backend == "torch":
        import torch

        return kind == "cpu" or bool(torch.cuda.is_available())
    if backend == "tensorflow":
        import tensorflow

        if kind == "cpu":
            tensorflow.config.set_visible_devices([], "GPU")
            return True
        return bool(tensorflow.config.list_physical_devices("GPU"))
    return kind == "cpu"


def _jax_has(kind: str) -> bool:
    plugins = JAX_PLUGINS[kind]
    if plugins and not any(importlib.util.find_spec(plugin) for plugin in plugins):
        return False  # asking JAX for a platform it lacks would start, and fix, every other one
    if kind == "gpu" and not gpus():
        return False
    import jax

    if kind == "cpu":
        jax.config.update("jax_platforms", "cpu")
        return bool(jax.default_backend() == "cpu")  # another backend was in use before the choice
    try:
        return bool(jax.devices(kind))
    except RuntimeError:
        return False


def _gpu_has_bfloat16(backend: str) -> bool:
    """Whether the GPU's matrix units take bfloat16: from Ampere (compute capability 8.0) on."""
    if backend == "jax":
        import jax

        return float(getattr(jax.devices("gpu")[0], "compute_capability", 0)) >= BFLOAT16_CAPABILITY
    if backend == "torch":
        import torch

        return bool(torch.cuda.get_device_capability()[0] >= BFLOAT16_CAPABILITY)
    return False  # not asked: float32 is right everywhere


def _no_driver() -> PacelineError:
    return PacelineError(
        "A GPU was asked for, but the NVIDIA driver reports none here.",
        "Install the driver (580 or newer for CUDA 13; 'nvidia-smi' must list the GPU), or use --device cpu.",
    )


def _cpu(requested: str, reason: str) -> Device:
    return Device(requested, "cpu", _cpu_name(), reason, "float32", usable_cores())


def _gpu(requested: str, reason: str, precision: str) -> Device:
    return Device(requested, "gpu", str(gpus()[0]["name"]), reason, precision, usable_cores())


def _tpu(requested: str, reason: str, precision: str) -> Device:
    import jax

    return Device(requested, "tpu", str(jax.devices("tpu")[0].device_kind), reason, precision, usable_cores())


@functools.cache
def _cpu_name() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def _cgroup_memory_bytes() -> float:
    try:
        return int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # no such file, or "max": no limit
        return float("inf")
