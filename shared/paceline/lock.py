"""One process at a time in a run's folder: a lock that the operating system drops when its holder dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paceline.errors import PacelineError

try:
    import fcntl
except ImportError:  # Windows has no locks of this kind, so there the folder is not guarded
    fcntl = None  # type: ignore[assignment] # a module or nothing


@contextmanager
def wait(folder: Path) -> Iterator[None]:
    """Hold `folder` for the block, after whoever holds it."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold `folder` for the block; nothing is written for it.

    Raises:
        PacelineError: another process holds it.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PacelineError(
                f"The run '{folder.name}' is being trained by another process.", "Wait for it, or stop it first."
            ) from None
        yield
    finally:
        os.close(descriptor)
