"""This process among the hosts that train together: it meets them once, and ends clearly when one of them is gone.

A host may go at any moment, while this one reads data, compiles, scores or saves. The main thread is interrupted with
the error then, as by a signal; where it does not react, deep in an engine, the process is ended from the thread that
heard of it, after the record has been closed. Alone, nothing here does anything.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from paceline import company, hosts, meeting
from paceline.company import Company
from paceline.errors import PacelineError, Stopped

GRACE_SECONDS = 2.0  # for this host to come upon the loss by itself, or to end by the same cause
OVERDUE_SECONDS = 8.0  # for the main thread to react to being interrupted
EXIT_DONE, EXIT_FAILED, EXIT_STOPPED = 0, 1, 75  # as in `cli`
NEAR = 1e-3
_INTERRUPT = getattr(signal, "SIGUSR1", None)  # not on Windows, where the process is ended from outside at once

_met: Company | None = None
_settled = threading.Event()  # this host is ending, or needs the others no more
_code = EXIT_FAILED  # of the process, where it ends without the backend's farewell
_joined = False
_at_loss: list[Callable[[PacelineError], None]] = []


def gather(value: Any) -> list[Any]:
    """Return the JSON value of every host, on every host; the first call meets them.

    Raises:
        PacelineError: they did not meet in time, or one has gone.
    """
    global _met, _code
    place = hosts.place()
    if place.count == 1:
        return [value]
    if _met is None:
        if _INTERRUPT is not None and threading.current_thread() is threading.main_thread():
            signal.signal(_INTERRUPT, _interrupted)
        _met = meeting.meet(place, lost=_lost)
    _code = EXIT_FAILED
    _settled.clear()
    return _met.gather(value)


def check_alike(facts: Mapping[str, Any], nearly: Mapping[str, float] | None = None) -> None:
    """See that every host has the same `facts` (versions, configuration, data), as JSON types.

    Args:
        facts: must be equal.
        nearly: figures that must be equal but for rounding.

    Raises:
        PacelineError: on every host, when one differs; it names what differs, down to the key.
    """
    values = gather([dict(facts), dict(nearly or {})])
    for number, (other, figures) in enumerate(values):
        if other != values[0][0]:
            name, there, here = _difference(other, values[0][0])
        elif apart := [key for key, here in values[0][1].items() if not math.isclose(figures[key], here, rel_tol=NEAR)]:
            name, there, here = apart[0], figures[apart[0]], values[0][1][apart[0]]
        else:
            continue
        raise PacelineError(
            f"Host {number} differs from host 0 in {name}: {_short(there)} and {_short(here)}.",
            "Install the same lock, give the same files, and start the same command on every host.",
        )


def done() -> None:
    """Say that this host needs the others no more, nor they it: it may end, and so may they."""
    global _code
    _code = EXIT_DONE
    _settled.set()
    if _met is not None:
        _met.done()


def leave(error: BaseException) -> None:
    """Tell the others what ends this host, unless it is done; the process ends without waiting for them then."""
    global _code
    if _met is None or _settled.is_set():
        return
    _code = EXIT_STOPPED if isinstance(error, Stopped) else EXIT_FAILED
    _settled.set()
    why = str(error) if isinstance(error, PacelineError | Stopped) else f"{type(error).__name__}."
    _met.leave(why)
    atexit.register(_exit)


@contextmanager
def watched(at_loss: Callable[[PacelineError], None]) -> Iterator[None]:
    """Have `at_loss` called, from another thread, where a host goes within the block and this one does not react."""
    _at_loss.append(at_loss)
    try:
        yield
    finally:
        _at_loss.remove(at_loss)


def engines_joined() -> None:
    """Say that the hosts' engines are connected, by way of host 0: JAX aborts a process at once when that has gone."""
    global _joined
    _joined = True


def _lost(number: int, sentence: str) -> None:
    """End this host, from the thread that has heard of the loss: by an interruption first, or else from here."""
    atexit.register(_exit)
    if not (_joined and number == 0):  # else there is no time: what is said is said before the engine aborts
        if _settled.wait(GRACE_SECONDS):
            return
        if _INTERRUPT is not None and signal.getsignal(_INTERRUPT) is _interrupted:
            signal.pthread_kill(int(threading.main_thread().ident or 0), _INTERRUPT)
            if _settled.wait(OVERDUE_SECONDS):
                return
    if _settled.is_set():
        return
    error = company.lost(sentence)
    for tell in list(_at_loss):
        with contextlib.suppress(Exception):  # whatever fails, this process must end
            tell(error)
    _exit()


def _interrupted(number: int, frame: FrameType | None) -> None:
    if _met is not None and not _settled.is_set():
        raise company.lost(_met.loss)


def _exit() -> None:
    """End the process; the backend's own farewell would wait for the lost host, then abort."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(_code)


def _difference(there: Any, here: Any, name: str = "") -> tuple[str, Any, Any]:
    """Return the first key, nested ones joined by dots, whose values differ, and both."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in [*here, *there]:
            if there.get(key) != here.get(key):
                return _difference(there.get(key), here.get(key), f"{name}.{key}" if name else str(key))
    return name or "what they are given", there, here


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:97]}..."
