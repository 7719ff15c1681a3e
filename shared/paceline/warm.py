"""Whether the data stay in memory from pass to pass: warm input is read once, cold input from the disk each time.

What the system has read stays in free memory until something else wants that. Data larger than it are never warm: a
pass that was measured while a part of them was there says little about the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paceline import device

COLD_ERROR = 0.3  # of the logarithm of a step's time: how fast the disk is, and how much it reads, was not measured


def free_bytes() -> int:
    """Return the memory that data can take: what the machine has available, and no more than a container's limit."""
    import psutil

    return int(min(psutil.virtual_memory().available, device.hardware()["memory_gb"] * 2**30))


@dataclass(frozen=True)
class Input:
    """What every pass reads, and the memory there is for it; both 0 where that is not known."""

    data_bytes: int = 0
    free_bytes: int = 0

    def cold(self, times: float = 1.0) -> bool:
        """Return whether so many times the data are more than stay in memory.

        >>> Input(4, 6).cold(), Input(4, 6).cold(2.0), Input().cold(10.0)
        (False, True, False)
        """
        return self.data_bytes * times > self.free_bytes

    def sentence(self) -> str:
        """Return what a reader of a prediction must know; empty where the data stay in memory."""
        if not self.cold():
            return ""
        return (
            f"The data that each pass goes through ({self.data_bytes / 2**30:.1f} GB) are more than the free memory "
            f"({self.free_bytes / 2**30:.1f} GB): they are read from the disk again and again, and times vary with it."
        )

    def state(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {"data_bytes": self.data_bytes, "free_bytes": self.free_bytes, "cold": self.cold()}


def of(data_bytes: int, *, resident: bool = False, memory: Callable[[], int] = free_bytes) -> Input:
    """Return the input of a training that goes through so many bytes.

    Args:
        data_bytes: of a pass; 0 where that is not known.
        resident: whether they are in memory already, so that there is room for them beside what is free.
        memory: the bytes that are free now.
    """
    return Input(data_bytes, memory() + resident * data_bytes) if data_bytes else Input()


UNKNOWN = Input()
