"""Nested named spans of wall time: the only module that reads the performance counter.

A `Clock` gives every instant since its start to exactly one name, that of the innermost open span, so what it reports
is disjoint and adds up to the elapsed time by construction. A name may have a part after a slash, `data/read`: the
ledger of a run adds the parts up by what stands before it. Nothing here knows of a framework.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

OUTSIDE = "other"  # the name of the time that no span claims


now = time.perf_counter  # seconds from an arbitrary origin; itself, since short steps read it often
thread_seconds = time.thread_time  # of the processor, that the calling thread has used


def process_start() -> float:
    """Return the reading of the performance counter at which this process was started.

    The operating system keeps a process's start with a resolution of 10 ms or better. Where it does not tell, or tells
    something that cannot be (a clock that was set back), the answer is the present reading.
    """
    try:  # each pair of clocks is read with nothing in between
        if hasattr(time, "CLOCK_BOOTTIME"):  # Linux: ticks since boot, not moved by setting the clock
            fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
            started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
            reading, age = time.perf_counter(), time.clock_gettime(time.CLOCK_BOOTTIME) - started
        else:
            import psutil

            started = psutil.Process().create_time()
            reading, age = time.perf_counter(), time.time() - started
    except (OSError, ValueError, IndexError):
        return time.perf_counter()
    return reading - age if age >= 0 else reading


class Clock:
    """Divides the wall time from `started` on among named spans.

    A clock belongs to the thread that made it: time that passes in other threads passes for this one as well, and is
    counted once. A span opened from another thread raises `RuntimeError`.

    Args:
        started: the reading of `read` that counts as zero; the present one by default.
        read: the source of time, replaced in tests.

    >>> clock = Clock()
    >>> with clock.span("data"):
    ...     with clock.span("data/read"):
    ...         pass
    >>> list(clock.phases())
    ['other', 'data']
    """

    def __init__(self, *, started: float | None = None, read: Callable[[], float] = now) -> None:
        self._read = read
        self.started = read() if started is None else started
        self._boundary = self.started
        self._open: list[str] = []
        self._seconds: dict[str, float] = {}
        self._thread = threading.get_ident()

    def elapsed(self) -> float:
        """Return the seconds since the clock's start."""
        return self._read() - self.started

    def mark(self, name: str) -> float:
        """Give the time since the last boundary to `name` instead of the open span, and return its seconds.

        For a stretch whose nature shows only when it is over: the first step of a compiled model, say.
        """
        reading = self._read()
        seconds = reading - self._boundary
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds
        self._boundary = reading
        return seconds

    def begin(self, name: str) -> int:
        """Open a span and return the depth to hand to `end`; for callbacks, where a `with` block cannot reach."""
        if threading.get_ident() != self._thread:
            raise RuntimeError(f"span {name!r} was opened from another thread than the clock's")
        self._settle()
        self._open.append(name)
        return len(self._open) - 1

    def end(self, depth: int) -> None:
        """Close the span opened at `depth`, and any left open inside it (a callback whose end never came)."""
        self._settle()
        del self._open[depth:]

    def span(self, name: str) -> AbstractContextManager[None]:
        """Give the time of the block to `name`, less what inner spans claim."""
        return _Span(self, name)

    def spans(self) -> dict[str, float]:
        """Return the seconds of every name, parts apart, in order of first appearance; they sum to `elapsed()`."""
        self._settle()
        return dict(self._seconds)

    def phases(self) -> dict[str, float]:
        """Return the seconds by phase (what stands before the slash), in order of first appearance."""
        phases: dict[str, float] = {}
        for name, seconds in self.spans().items():
            phase = name.partition("/")[0]
            phases[phase] = phases.get(phase, 0.0) + seconds
        return phases

    def _settle(self) -> None:
        self.mark(self._open[-1] if self._open else OUTSIDE)


class _Span:
    """A `with` block's span; a class, since a generator takes twice as long and some spans open every round."""

    __slots__ = ("_clock", "_depth", "_name")

    def __init__(self, clock: Clock, name: str) -> None:
        self._clock, self._name = clock, name

    def __enter__(self) -> None:
        self._depth = self._clock.begin(self._name)

    def __exit__(self, *error: object) -> None:
        self._clock.end(self._depth)
