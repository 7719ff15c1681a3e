"""Hosts find each other before they do anything, and before any engine is told of them.

JAX ends the process where a host of those it was promised is not there. So they meet first, by a plain connection to
the port that the engine will use: each says its number to host 0, and all go on together or nobody does. The
connections stay open, which leaves the port free to listen at: see `company`.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

from paceline.company import Company
from paceline.errors import PacelineError
from paceline.hosts import Place

MEETING_SECONDS = 30.0  # for the others to be there
RETRY_SECONDS = 0.2
LONGEST_LINE = 16  # bytes of a number and its end
GO = b"go\n"


def meet(
    place: Place,
    *,
    seconds: float = MEETING_SECONDS,
    now: Callable[[], float] = time.monotonic,
    lost: Callable[[int, str], None] = lambda *_: None,
) -> Company:
    """Return the company of all hosts, once they are there; host 0's port is free again by then.

    Args:
        place: this host.
        seconds: that the others have to come.
        now: a clock.
        lost: see `Company`.

    Raises:
        PacelineError: they were not in time, or the port of host 0 cannot be used.
    """
    address, _, port = place.coordinator.rpartition(":")
    until = now() + seconds
    if place.number == 0:
        return Company(place, _wait_for_all(place, int(port), until, seconds, now), lost)
    link = _call(place, address.strip("[]"), int(port), until, now)
    if link is None:
        raise _not_there(place, seconds, "host 0 did not answer")
    return Company(place, {0: link}, lost)


def _wait_for_all(
    place: Place, port: int, until: float, seconds: float, now: Callable[[], float]
) -> dict[int, socket.socket]:
    """Return the connections of the other hosts, who then know that all have come."""
    with contextlib.ExitStack() as given_up:
        there: dict[int, socket.socket] = {}
        try:
            server = socket.create_server(("", port))
        except OSError as error:
            raise PacelineError(
                f"Host 0 cannot listen at {place.coordinator}: {error.strerror}.", "Give it a port that is free."
            ) from None
        with server:
            while len(there) < place.count - 1:
                left = until - now()
                if left <= 0:
                    missing = sorted(set(range(1, place.count)) - there.keys())
                    raise _not_there(place, seconds, f"host {', '.join(map(str, missing))} did not come")
                server.settimeout(min(left, 1.0))
                try:
                    caller, _ = server.accept()
                except TimeoutError:
                    continue
                given_up.callback(caller.close)
                caller.settimeout(min(left, 1.0))
                number = 0
                with contextlib.suppress(OSError, ValueError):
                    number = int(caller.recv(LONGEST_LINE))
                if not 0 < number < place.count:  # somebody else, who knocks at any port
                    caller.close()
                    continue
                if number in there:  # it has given up and come again
                    there[number].close()
                there[number] = caller
        for caller in there.values():
            with contextlib.suppress(OSError):  # gone again: its company will say so
                caller.sendall(GO)
        given_up.pop_all()
    return there


def _call(place: Place, address: str, port: int, until: float, now: Callable[[], float]) -> socket.socket | None:
    """Say this host's number until host 0 says that all are there; return the connection, None where it did not."""
    while (left := until - now()) > 0:
        call = None
        try:
            call = socket.create_connection((address, port), timeout=left)
            call.sendall(f"{place.number}\n".encode())
            call.settimeout(left)
            if call.recv(len(GO)) == GO:
                return call
        except OSError:  # not there yet, or gone again
            pass
        if call is not None:
            call.close()
        time.sleep(RETRY_SECONDS)
    return None


def _not_there(place: Place, seconds: float, what: str) -> PacelineError:
    return PacelineError(
        f"Host {place.number} of {place.count} met nobody at {place.coordinator} in {seconds:.0f} s: {what}.",
        "Start the same command on every host, and see that the port of host 0 can be reached.",
    )
