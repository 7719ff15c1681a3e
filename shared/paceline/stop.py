"""A stop that loses nothing: SIGTERM and Ctrl-C become a flag that the training loop reads where it can save.

Around the loops, where a run gets ready, scores and reports, they interrupt it: what was saved stays.

A signal handler of Python runs only when the main thread is back in Python, which one boosting round on big data may
delay for minutes. So a thread hears the signal too (through the wake-up descriptor, written at once by the C handler)
and, when the loop has not reacted after `overdue_seconds`, ends the process from there: what the last checkpoint holds
is kept, what came after it is trained again.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from paceline.errors import Stopped

EXIT_STOPPED = 75  # sysexits.h EX_TEMPFAIL: try again, here with --resume
OVERDUE_SECONDS = 8.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Listener:
    """While open, turns SIGTERM and Ctrl-C into `requested`; a second Ctrl-C interrupts at once.

    Outside the main thread, where Python takes no signals, it opens and never hears anything. Of several that are open
    the innermost hears.

    Args:
        overdue: called from another thread when the loop has not closed the listener `overdue_seconds` after a signal;
            the process ends with 75 when it returns.
        overdue_seconds: how long a loop may take to react.
        interrupt: whether the main thread is interrupted with `Stopped` at the first signal, for a block that does not
            look at `requested`.
    """

    def __init__(
        self, overdue: Callable[[], None], *, overdue_seconds: float = OVERDUE_SECONDS, interrupt: bool = False
    ) -> None:
        self._overdue = overdue
        self._interrupt = interrupt
        self._overdue_seconds = overdue_seconds
        self._name = ""
        self._closed = threading.Event()
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1
        self._pair: tuple[socket.socket, socket.socket] | None = None

    @property
    def requested(self) -> str:
        """The name of the signal that asked for the end, or an empty text."""
        return self._name

    def finish(self) -> None:
        """Interrupt nothing from now on: the block is closing, and a signal finds it at its end."""
        self._interrupt = False

    def __enter__(self) -> Listener:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._heard) for number in _SIGNALS}
            self._pair = socket.socketpair()
            self._pair[1].setblocking(False)
            self._wakeup_before = signal.set_wakeup_fd(self._pair[1].fileno(), warn_on_full_buffer=False)
            threading.Thread(target=self._watch, args=(self._pair[0],), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        if self._pair is not None:
            signal.set_wakeup_fd(self._wakeup_before)
            for number, handler in self._before.items():
                signal.signal(number, handler)
            self._pair[1].close()  # ends the thread's recv
            self._pair = None

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self._name and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._name = signal.Signals(number).name
        if self._interrupt:
            self._interrupt = False
            raise Stopped(f"{self._name} ended it.", resumable=True)

    def _watch(self, ear: socket.socket) -> None:
        with ear:
            while True:
                numbers = ear.recv(16)
                if not numbers:
                    return
                if set(numbers) & set(_SIGNALS) and not self._closed.wait(self._overdue_seconds):
                    try:
                        self._overdue()
                    finally:  # even where the record cannot be written: who asked for the end must get it
                        os._exit(EXIT_STOPPED)
