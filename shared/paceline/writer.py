"""Checkpoints written while training goes on: one thread, one snapshot in its hands and at most one that waits.

Who trains hands over a snapshot that no later step changes and goes on. Packing, hashing, syncing and renaming are the
thread's, so that a checkpoint takes the training no longer than the copy of its variables. A newer snapshot takes the
place of the one that waits. Where a write takes longer than an epoch, a kill so costs what has ended since the snapshot
before was taken: in two writes, at most.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from paceline import checkpoint, clock

Files = Callable[[], Mapping[str, bytes]]


class Writer:
    """Writes the checkpoints of one training below `folder`, in the order in which they were handed over.

    Attributes:
        written: the step of the newest checkpoint that is on the disk.
        saves: how many were written.
        processor_seconds: the processor time that they took in the thread; the main thread's is not in it.
    """

    def __init__(self, folder: Path, *, written: int = 0) -> None:
        self.folder, self.written = folder, written
        self.saves, self.processor_seconds = 0, 0.0
        self._changed = threading.Condition()
        self._waiting: tuple[int, Files] | None = None
        self._busy = self._closed = False
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def put(self, step: int, files: Files) -> None:
        """Have the checkpoint of `step` written, of what `files` returns in the thread; this does not wait for it.

        Raises:
            OSError, or what else an earlier checkpoint failed with: this one is not written then.
        """
        with self._changed:
            self._raise_failure()
            self._waiting = (step, files)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_all, name="checkpoints", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wait(self) -> None:
        """Return when all that was handed over is on the disk.

        Raises:
            OSError, or what else a checkpoint failed with.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._busy and self._waiting is None)
            self._raise_failure()

    def close(self) -> str:
        """Write what waits, end the thread, and return why a checkpoint failed that nobody was told of, or nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        failure, self._failure = self._failure, None
        return "" if failure is None else str(failure) or type(failure).__name__

    def seconds_each(self) -> float | None:
        """Return the processor time of a checkpoint, the mean of those written; None before there is one."""
        return self.processor_seconds / self.saves if self.saves else None

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed or self._waiting is not None)
                if self._waiting is None:
                    return
                (step, files), self._waiting, self._busy = self._waiting, None, True
            before = clock.thread_seconds()
            try:
                checkpoint.save(self.folder, step, files())
            except BaseException as error:  # whatever it is, the main thread raises it
                with self._changed:
                    self._failure = error
                    self._waiting = None
            else:
                self.processor_seconds += clock.thread_seconds() - before
                self.saves += 1
                self.written = step
            del files  # the snapshot is let go before the next one comes
