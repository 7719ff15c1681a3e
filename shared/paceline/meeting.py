"""Hosts find each other before any engine is told of them.

JAX ends the process where a host of those it was promised is not there. So they meet first, by a plain connection to
the port that the engine will use: each says its number to host 0, and all go on together or nobody does.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

from paceline.errors import PacelineError
from paceline.hosts import Place

MEETING_SECONDS = 30.0  # for the others to be there
RETRY_SECONDS = 0.2
LONGEST_LINE = 16  # bytes of a number and its end
GO = b"go\n"


def meet(place: Place, *, seconds: float = MEETING_SECONDS, now: Callable[[], float] = time.monotonic) -> None:
    """Return once all hosts are there; host 0's port is free again by then.

    Raises:
        PacelineError: they were not in time, or the port of host 0 cannot be used.
    """
    address, _, port = place.coordinator.rpartition(":")
    until = now() + seconds
    if place.number == 0:
        missing = _wait_for_all(place, int(port), until, now)
        if missing:
            raise _not_there(place, seconds, f"host {', '.join(map(str, missing))} did not come")
    elif not _call(place, address.strip("[]"), int(port), until, now):
        raise _not_there(place, seconds, "host 0 did not answer")


def _wait_for_all(place: Place, port: int, until: float, now: Callable[[], float]) -> list[int]:
    """Return the hosts that are missing when time is up; none where all came, who then know it."""
    there: dict[int, socket.socket] = {}
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(socket.create_server(("", port)))
        except OSError as error:
            raise PacelineError(
                f"Host 0 cannot listen at {place.coordinator}: {error.strerror}.", "Give it a port that is free."
            ) from None
        while len(there) < place.count - 1:
            left = until - now()
            if left <= 0:
                return sorted(set(range(1, place.count)) - there.keys())
            server.settimeout(min(left, 1.0))
            try:
                caller, _ = server.accept()
            except TimeoutError:
                continue
            stack.enter_context(caller)
            caller.settimeout(min(left, 1.0))
            with contextlib.suppress(OSError, ValueError):  # somebody else, who knocks at any port
                number = int(caller.recv(LONGEST_LINE))
                if 0 < number < place.count:
                    there[number] = caller
        for caller in there.values():
            with contextlib.suppress(OSError):
                caller.sendall(GO)
                caller.recv(1)  # its end: who closes first keeps the port waiting
    return []


def _call(place: Place, address: str, port: int, until: float, now: Callable[[], float]) -> bool:
    """Say this host's number until host 0 says that all are there; return whether it did in time."""
    while (left := until - now()) > 0:
        try:
            with socket.create_connection((address, port), timeout=left) as call:
                call.sendall(f"{place.number}\n".encode())
                call.settimeout(left)
                if call.recv(len(GO)) == GO:
                    return True
        except OSError:  # not there yet, or gone again
            pass
        time.sleep(RETRY_SECONDS)
    return False


def _not_there(place: Place, seconds: float, what: str) -> PacelineError:
    return PacelineError(
        f"Host {place.number} of {place.count} met nobody at {place.coordinator} in {seconds:.0f} s: {what}.",
        "Start the same command on every host, and see that the port of host 0 can be reached.",
    )
