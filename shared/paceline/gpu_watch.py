"""What the GPUs did while a run lasted: memory, utilisation, power, throttling, asked of the driver once a second.

A `Watch` owns the thread that asks. Without an NVIDIA driver, or without `nvidia-ml-py` (extra cuda13), there is
nothing to ask and it says nothing; a driver that stops answering ends the watching, never the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from paceline.clock import now

PERIOD_SECONDS = 1.0
# Why a GPU runs slower than it could, by the names of NVML's bits. Idling and settings by the user are no throttling.
REASONS = {
    "power": ("SwPowerCap", "HwPowerBrakeSlowdown"),
    "heat": ("SwThermalSlowdown", "HwThermalSlowdown"),
    "hardware": ("HwSlowdown",),
}
THROTTLED_SHARE = 0.05  # of the samples; from here on the report warns


@dataclass(frozen=True)
class Sample:
    """One GPU at one moment.

    Attributes:
        seconds: when, by `clock.now`.
        memory_bytes: in use on the device, by all processes; None, here and below, where the device does not say.
        utilisation: the share of the last moment in which some kernel ran, 0 to 1.
        watts: drawn.
        throttled_by: of `REASONS`.
    """

    seconds: float
    memory_bytes: int | None
    utilisation: float | None
    watts: float | None
    throttled_by: tuple[str, ...] = ()


Read = Callable[[], Sequence[Sample]]


class Watch:
    """Asks for a sample of every GPU each second, from `start` to `stop`, in a thread.

    Args:
        read: gives the samples, one for each GPU; None where there is nothing to ask.
        wait: waits for so many seconds or until the watch is stopped, and returns whether it was; replaced in tests.
    """

    def __init__(self, read: Read | None, wait: Callable[[float], bool] | None = None) -> None:
        self._read = read
        self._ended = threading.Event()
        self._wait = wait or self._ended.wait
        self._thread: threading.Thread | None = None
        self.samples: list[list[Sample]] = []  # by GPU

    def start(self) -> None:
        """Begin to watch."""
        if self._read is not None:
            self._thread = threading.Thread(target=self._watch, name="gpu-watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the watching, at most a driver's answer later."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=PERIOD_SECONDS)

    def state(self) -> list[dict[str, Any]]:
        """Return what was seen, a row a GPU, as JSON types; nothing before the first sample.

        Returns:
            `gpu` (its number), `samples` (about one a second), `peak_memory_gb`, `mean_utilisation`, `mean_power_w`,
            `peak_power_w`, each where the device says it, `throttled` (the share of the samples), `throttled_by` (each
            reason once).
        """
        return [_summary(number, list(samples)) for number, samples in enumerate(self.samples) if samples]

    def warnings(self) -> list[str]:
        """Return a sentence for each GPU that ran slower than it could for more than a moment."""
        return [
            f"GPU {row['gpu']} was throttled in {row['throttled']:.0%} of the time, by {row['throttled_by']}: it could "
            "compute faster with better cooling or a higher power limit."
            for row in self.state()
            if row["throttled"] > THROTTLED_SHARE
        ]

    def _watch(self) -> None:
        assert self._read is not None  # noqa: S101 -- `start` has seen to it
        while True:
            try:
                found = self._read()
            except Exception:  # the driver's own errors, and a GPU that fell off the bus: a run must not end by that
                return
            for number, sample in enumerate(found):
                if number == len(self.samples):
                    self.samples.append([])
                self.samples[number].append(sample)
            if self._wait(PERIOD_SECONDS):
                return


def _summary(number: int, samples: list[Sample]) -> dict[str, Any]:
    count = len(samples)
    memory = [sample.memory_bytes for sample in samples if sample.memory_bytes is not None]
    busy = [sample.utilisation for sample in samples if sample.utilisation is not None]
    watts = [sample.watts for sample in samples if sample.watts is not None]
    reasons = sorted({reason for sample in samples for reason in sample.throttled_by})
    return {
        "gpu": number,
        "samples": count,
        **({"peak_memory_gb": round(max(memory) / 2**30, 2)} if memory else {}),
        **({"mean_utilisation": sum(busy) / len(busy)} if busy else {}),
        **({"mean_power_w": sum(watts) / len(watts), "peak_power_w": max(watts)} if watts else {}),
        "throttled": sum(bool(sample.throttled_by) for sample in samples) / count,
        "throttled_by": ", ".join(reasons),
    }


def nvml() -> Read | None:
    """Return a function that asks NVIDIA's driver; None where there is no driver, no GPU, or no `nvidia-ml-py`."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return None
    bits = {
        reason: sum(getattr(pynvml, f"nvmlClocksEventReason{name}", 0) for name in names)
        for reason, names in REASONS.items()
    }

    def read() -> list[Sample]:
        return [_ask(pynvml, handle, bits) for handle in handles]

    return read if handles else None


def _ask(pynvml: Any, handle: Any, bits: dict[str, int]) -> Sample:
    def asked(name: str) -> Any:
        try:
            return getattr(pynvml, name)(handle)
        except pynvml.NVMLError_NotSupported:  # a part of a GPU has no utilisation of its own, an older one no reasons
            return None

    memory, rates, milliwatts = (
        asked(f"nvmlDeviceGet{name}") for name in ("MemoryInfo", "UtilizationRates", "PowerUsage")
    )
    slowed = asked("nvmlDeviceGetCurrentClocksEventReasons") or 0
    return Sample(
        seconds=now(),
        memory_bytes=None if memory is None else memory.used,
        utilisation=None if rates is None else rates.gpu / 100,
        watts=None if milliwatts is None else milliwatts / 1000,
        throttled_by=tuple(reason for reason, mask in bits.items() if slowed & mask),
    )
