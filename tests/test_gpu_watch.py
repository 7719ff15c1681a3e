"""What the GPUs did is asked of the driver, summed up, and never ends a run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paceline import gpu_watch, record
from paceline.config import Section
from paceline.gpu_watch import Sample, Watch
from paceline.report import page

GB = 2**30


class Settings(Section):
    """No settings."""


def watched(rounds: list[list[Sample]]) -> Watch:
    """Return a watch that has seen `rounds`, one after the other, without waiting."""
    left = iter(rounds)
    ends = iter([False] * (len(rounds) - 1) + [True])
    watch = Watch(lambda: next(left), wait=lambda seconds: next(ends))
    watch.start()
    assert watch._thread is not None
    watch._thread.join()
    watch.stop()
    return watch


def test_samples_are_summed_up_by_gpu() -> None:
    """The peak of memory and power, the means, the share of throttled samples with its reasons."""
    rounds = [
        [Sample(10.0, 2 * GB, 0.5, 100.0), Sample(10.0, 1 * GB, 0.0, 50.0)],
        [Sample(11.0, 5 * GB, 1.0, 300.0, ("power", "heat")), Sample(11.0, 1 * GB, 0.0, 50.0)],
    ]
    watch = watched(rounds)
    first, second = watch.state()
    assert {
        "gpu": 0,
        "samples": 2,
        "peak_memory_gb": 5.0,
        "mean_utilisation": 0.75,
        "mean_power_w": 200.0,
        "peak_power_w": 300.0,
        "throttled": 0.5,
        "throttled_by": "heat, power",
    } == first
    assert (1, 0.0, "") == (second["gpu"], second["throttled"], second["throttled_by"])
    (sentence,) = watch.warnings()
    assert sentence.startswith("GPU 0 was throttled in 50% of the time, by heat, power")


def test_a_driver_that_fails_ends_the_watching_alone() -> None:
    """What was seen until then is kept."""

    def read() -> list[Sample]:
        if seen:
            raise OSError("GPU is lost")
        seen.append(1)
        return [Sample(0.0, GB, 1.0, 10.0)]

    seen: list[int] = []
    watch = Watch(read, wait=lambda seconds: False)
    watch.start()
    assert watch._thread is not None
    watch._thread.join()
    assert [1] == [row["samples"] for row in watch.state()]


def test_without_a_gpu_nothing_is_asked() -> None:
    """No thread, no row, no warning."""
    watch = Watch(None)
    watch.start()
    watch.stop()
    assert ([], [], None) == (watch.state(), watch.warnings(), watch._thread)


class NVML(SimpleNamespace):
    """In the place of `pynvml`: two GPUs, the second throttled by heat."""

    class NVMLError(Exception):
        """What the driver says."""

    class NVMLError_NotSupported(NVMLError):  # noqa: N801, N818 -- NVML's name
        """What this device does not tell."""

    def __init__(self, count: int = 2, *, driver: bool = True, silent: tuple[str, ...] = ()) -> None:
        super().__init__(nvmlClocksEventReasonSwPowerCap=4, nvmlClocksEventReasonSwThermalSlowdown=32)
        self.count, self.driver, self.silent = count, driver, silent

    def refuse(self, handle: int) -> None:
        """Say that this cannot be told."""
        raise self.NVMLError_NotSupported

    def nvmlInit(self) -> None:  # noqa: N802 -- NVML's name
        """Fail without a driver."""
        if not self.driver:
            raise self.NVMLError

    def __getattr__(self, name: str) -> Callable[..., Any]:
        answers: dict[str, Callable[..., Any]] = {
            "nvmlDeviceGetCount": lambda: self.count,
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(used=3 * GB),
            "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=80),
            "nvmlDeviceGetPowerUsage": lambda handle: 250_000,
            "nvmlDeviceGetCurrentClocksEventReasons": lambda handle: (0, 32 | 1)[handle],
        }
        if name not in answers:
            raise AttributeError(name)
        if name in self.silent:
            return self.refuse
        return answers[name]


def test_the_driver_is_asked_by_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its units become bytes, shares and watts; idling is no throttling."""
    monkeypatch.setitem(sys.modules, "pynvml", NVML())
    monkeypatch.setattr(gpu_watch, "now", lambda: 7.0)
    read = gpu_watch.nvml()
    assert read is not None
    assert [Sample(7.0, 3 * GB, 0.8, 250.0), Sample(7.0, 3 * GB, 0.8, 250.0, ("heat",))] == read()


def test_what_a_device_does_not_tell_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of a GPU has no utilisation of its own: the rest is watched all the same."""
    silent = ("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetCurrentClocksEventReasons")
    monkeypatch.setitem(sys.modules, "pynvml", NVML(count=1, silent=silent))
    read = gpu_watch.nvml()
    assert read is not None
    (row,) = watched([list(read())]).state()
    assert {"gpu", "samples", "peak_memory_gb", "mean_power_w", "peak_power_w", "throttled", "throttled_by"} == set(row)


@pytest.mark.parametrize("module", [None, NVML(driver=False), NVML(count=0)])
def test_what_cannot_be_asked_is_not(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No package, no driver, no GPU."""
    monkeypatch.setitem(sys.modules, "pynvml", module)
    assert gpu_watch.nvml() is None


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose driver answers."""
    monkeypatch.setattr(gpu_watch, "nvml", lambda: lambda: [Sample(0.0, GB, 0.5, 100.0, ("power",))])


@pytest.mark.usefixtures("with_gpu")
def test_a_run_keeps_what_its_gpus_did(tmp_path: Path) -> None:
    """In the record's hardware, as a table of the report, and as a warning."""
    with record.start(Settings(), tmp_path, name="test") as run:
        while not run.gpus.state():  # the first sample is taken at once, in another thread
            pass
    found = record.read(run.folder)
    (row,) = found["hardware"]["gpu_use"]
    assert (1.0, 0.5, "power") == (row["peak_memory_gb"], row["mean_utilisation"], row["throttled_by"])
    assert ["GPU 0 was throttled in 100% of the time"] == [text.partition(",")[0] for text in found["warnings"]]
    assert "throttled by" in page.render(found).lower()
