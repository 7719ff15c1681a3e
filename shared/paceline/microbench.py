"""What this machine manages, in seconds: matrix products, convolution, memory, launches, histograms, decoding, disk.

Each figure is the best of several repetitions: noise only ever slows a machine down. JAX and XGBoost are measured where
they are installed, for they are what trains; matrix products fall back to NumPy.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from paceline import clock, compilation, device, machines
from paceline.errors import PacelineError
from paceline.machines import Machine

SECONDS = 0.4  # of each measurement
MATMUL_SIZE = 1024
CONVOLUTION = (8, 64, 64, 32)  # batch, height, width, channels in and out, by 3 × 3
# In bfloat16, on accelerators alone: large enough that their matrix units are the limit, half a GB at most.
LARGE_MATMUL_SIZE, LARGE_CONVOLUTION = 8192, (64, 64, 64, 256)
MEMORY_FLOATS = 16_000_000  # 64 MB: beyond the caches of most machines
HISTOGRAM_ROWS, HISTOGRAM_FEATURES = 50_000, 20
DISK_BYTES = 32_000_000
LOOPS = 200_000


def measure(*, seconds: float = SECONDS) -> Machine:
    """Return this machine with everything that can be measured on it.

    Args:
        seconds: of each measurement, about.
    """
    found: dict[str, float] = {}
    kind = "cpu"
    if importlib.util.find_spec("jax") is not None:
        kind = _jax(found, seconds)
    else:
        a = np.ones((MATMUL_SIZE, MATMUL_SIZE), np.float32)
        found["matmul_gflops"] = 2e-9 * MATMUL_SIZE**3 / best(lambda: a @ a, seconds)
        source, target = np.ones(MEMORY_FLOATS, np.float32), np.empty(MEMORY_FLOATS, np.float32)
        found["memory_gb_per_second"] = 2e-9 * source.nbytes / best(lambda: np.copyto(target, source), seconds)
    if importlib.util.find_spec("xgboost") is not None:
        found["histogram_rows_per_second"] = _histogram(seconds)
    if importlib.util.find_spec("cv2") is not None:
        found["decoded_images_per_second"] = _decoding(seconds)
    found["disk_mb_per_second"] = _disk()
    found["python_loops_per_second"] = LOOPS / best(_loop, seconds)
    here = device.hardware()
    name = here["accelerators"][0]["name"] if kind == "gpu" and here["accelerators"] else here["cpu"]
    facts = {"cores": here["cores"], "memory_gb": here["memory_gb"], "os": here["os"], "host": platform.node()}
    return Machine(f"{name}, {here['cores']} cores", kind, found, facts=facts)


def here() -> Machine:
    """Return this machine, measured now or before: the figures are kept in the cache as long as its hardware is."""
    known = kept()
    if known is not None:
        return known
    found = measure()
    keep(found)
    return found


def keep(machine: Machine) -> None:
    """Keep the figures of this machine in the cache, for reports."""
    path = _kept_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    machines.write(machine, path)


def kept() -> Machine | None:
    """Return this machine as it was measured before; None where it was not, or has changed."""
    try:
        known = machines.read(_kept_file())
    except PacelineError:
        return None
    same = known.facts.get("host") == platform.node() and known.facts.get("cores") == device.usable_cores()
    return known if same else None


def _kept_file() -> Path:
    return compilation.cache_folder() / "machine.json"


def best(work: Callable[[], object], seconds: float) -> float:
    """Return the least seconds of one `work()` over repetitions that fill `seconds`, three at least after a first."""
    work()
    until = clock.now() + seconds
    found: list[float] = []
    while len(found) < 3 or clock.now() < until:
        began = clock.now()
        work()
        found.append(clock.now() - began)
    return max(min(found), 1e-9)


def _jax(found: dict[str, float], seconds: float) -> str:
    import jax
    import jax.numpy as jnp

    found["matmul_gflops"] = _product(MATMUL_SIZE, "float32", seconds)
    found["convolution_gflops"] = _convolution(CONVOLUTION, "float32", seconds)
    kind = str(jax.default_backend())
    if kind != "cpu":
        found["matmul_bf16_gflops"] = _product(LARGE_MATMUL_SIZE, "bfloat16", seconds)
        found["convolution_bf16_gflops"] = _convolution(LARGE_CONVOLUTION, "bfloat16", seconds)
    long = jnp.ones(MEMORY_FLOATS, jnp.float32)
    scale = jax.jit(lambda x: x * 1.5)
    found["memory_gb_per_second"] = 2e-9 * long.nbytes / best(lambda: scale(long).block_until_ready(), seconds)
    small = jnp.ones(8, jnp.float32)
    found["launches_per_second"] = 1 / best(lambda: scale(small).block_until_ready(), seconds)
    return kind


def _product(size: int, dtype: str, seconds: float) -> float:
    """Return the GFLOP/s of a product of square matrices."""
    import jax
    import jax.numpy as jnp

    a = jnp.ones((size, size), dtype)
    product = jax.jit(lambda a: a @ a)
    return 2e-9 * size**3 / best(lambda: product(a).block_until_ready(), seconds)


def _convolution(shape: tuple[int, int, int, int], dtype: str, seconds: float) -> float:
    """Return the GFLOP/s of a convolution by 3 × 3 of images (batch, height, width, channels), as many channels out."""
    import jax
    import jax.numpy as jnp

    batch, height, width, channels = shape
    images, kernel = jnp.ones(shape, dtype), jnp.ones((3, 3, channels, channels), dtype)
    order = ("NHWC", "HWIO", "NHWC")
    convolve = jax.jit(
        lambda x, k: jax.lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=order)  # type: ignore[no-untyped-call,unused-ignore]
    )
    flops = 2.0 * batch * height * width * channels * channels * 9
    return 1e-9 * flops / best(lambda: convolve(images, kernel).block_until_ready(), seconds)


def _histogram(seconds: float) -> float:
    """Return the rows that a boosting round goes through in a second, of `HISTOGRAM_FEATURES` features, to depth 6."""
    import xgboost

    rng = np.random.default_rng(0)
    X = rng.standard_normal((HISTOGRAM_ROWS, HISTOGRAM_FEATURES), dtype=np.float32)
    rows = xgboost.QuantileDMatrix(
        X, rng.integers(0, 2, HISTOGRAM_ROWS).astype(np.float32)
    )  # noise: its trees never run out of splits
    booster = xgboost.Booster({"tree_method": "hist", "nthread": device.usable_cores()}, [rows])
    rounds = iter(range(1_000_000))
    return HISTOGRAM_ROWS / best(lambda: booster.update(rows, next(rounds)), seconds)


def _decoding(seconds: float) -> float:
    """Return the JPEG images of 640 × 480 pixels that one thread decodes in a second."""
    import cv2

    y, x = np.mgrid[:480, :640]
    image = np.stack([(x + y) % 256, (2 * x) % 256, (x * y) % 256], axis=-1).astype(np.uint8)
    _, data = cv2.imencode(".jpg", image)
    return 1 / best(lambda: cv2.imdecode(data, cv2.IMREAD_COLOR), seconds)


def _disk() -> float:
    data = np.random.default_rng(0).bytes(DISK_BYTES)
    with tempfile.TemporaryDirectory(prefix="paceline-disk-") as folder:
        path = Path(folder) / "file"

        def write() -> None:
            with path.open("wb") as file:
                file.write(data)
                os.fsync(file.fileno())

        return 1e-6 * DISK_BYTES / best(write, 0.0)


def _loop() -> int:
    total = 0
    for number in range(LOOPS):
        total += number % 7
    return total
