"""Hosts that have met stay connected: each hears what the others say, and at once when one of them is gone.

Host 0 is connected with every other host and passes on what they say. What goes over the network is JSON, a line each,
so that nothing in it can be more than a value.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

from paceline.errors import PacelineError
from paceline.hosts import Place

LONGEST_LINE = 1 << 22  # bytes of a message; a configuration has some thousands
ASKED_AFTER_SECONDS, ASKED_EVERY_SECONDS, ASKED_TIMES = 10, 5, 3  # a silent host: gone after 25 s
LOOK_SECONDS = 0.2  # between looks whether a host that is waited for is gone
REMEDY = "See what ended it, then start every host again, with --resume RUN where a run has begun."


class Company:
    """The hosts that met, from one of them.

    Args:
        place: this host.
        links: the open connections by number: of host 0 those to all others, of another one that to host 0.
        lost: is called once, from a thread, with the number of the host that has gone and a sentence that says so, and
            why where it told.

    Attributes:
        loss: that sentence; empty while all are there.
    """

    def __init__(self, place: Place, links: Mapping[int, socket.socket], lost: Callable[[int, str], None]) -> None:
        self.place, self.loss = place, ""
        self._links, self._tell_of_loss = dict(links), lost
        self._said: dict[int, queue.SimpleQueue[Any]] = {number: queue.SimpleQueue() for number in links}
        self._done: set[int] = set()  # hosts whose going is no loss
        self._ended: set[int] = set()  # those of them that have gone
        self._left = False
        self._writing, self._losing = threading.Lock(), threading.Lock()
        for number, link in self._links.items():
            _ask_when_silent(link)
            threading.Thread(target=self._listen, args=(number, link), daemon=True).start()

    def gather(self, value: Any) -> list[Any]:
        """Return the JSON value of every host, in the order of their numbers, on every host; waits for the slowest.

        Raises:
            PacelineError: a host has gone.
        """
        if self.place.number:
            self._tell(0, {"says": value})
            everything: list[Any] = self._hear(0)
            return everything
        everything = [value, *(self._hear(number) for number in sorted(self._links))]
        for number in self._links:
            self._tell(number, {"says": everything})
        return everything

    def done(self) -> None:
        """Say that this host's going is no loss to the others from now on, until it says something again."""
        for number in self._links:
            self._tell(number, {"done": True})

    def leave(self, why: str) -> None:
        """Say that this host goes, and why; nothing is heard of the others any more."""
        self._left = True
        for number in self._links:
            self._tell(number, {"gone": self.place.number, "why": why})

    def close(self) -> None:
        """Let the connections go."""
        self._left = True
        for link in self._links.values():
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def _hear(self, number: int) -> Any:
        while True:
            try:
                return self._said[number].get(timeout=LOOK_SECONDS)
            except queue.Empty:
                if self.loss or number in self._ended:
                    raise lost(self.loss or f"Host {number} has ended its run.") from None

    def _tell(self, number: int, message: dict[str, Any]) -> None:
        with self._writing, contextlib.suppress(OSError):  # who listens to it notices that it is gone
            self._links[number].sendall(json.dumps(message).encode() + b"\n")

    def _listen(self, number: int, link: socket.socket) -> None:
        # Whatever is no message of ours, a number or a list among it, is the end of the conversation.
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError), link.makefile("rb") as lines:
            while line := lines.readline(LONGEST_LINE):
                self._take(number, json.loads(line))
        if number in self._done:
            self._ended.add(number)
        else:
            self._lose(number, "")

    def _take(self, number: int, message: dict[str, Any]) -> None:
        if "says" in message:
            self._done.discard(number)
            self._said[number].put(message["says"])
        elif "done" in message:
            self._done.add(number)
        elif "gone" in message:
            self._lose(int(message["gone"]), str(message.get("why", "")))

    def _lose(self, number: int, why: str) -> None:
        with self._losing:
            if self.loss or self._left:
                return
            self.loss = f"Host {number} has gone" + (f": {why}" if why else ".")
        if not self.place.number:  # the others are connected with this host only
            for other in self._links.keys() - {number}:
                self._tell(other, {"gone": number, "why": why})
        self._tell_of_loss(number, self.loss)


def lost(sentence: str) -> PacelineError:
    """Return the error of a run that cannot go on without a host."""
    return PacelineError(sentence if sentence.endswith((".", "!", "?")) else f"{sentence}.", REMEDY)


def _ask_when_silent(link: socket.socket) -> None:
    """Let the system ask a silent host for a sign of life: a cable that is cut ends no connection."""
    link.settimeout(None)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", ASKED_AFTER_SECONDS),
        ("TCP_KEEPINTVL", ASKED_EVERY_SECONDS),
        ("TCP_KEEPCNT", ASKED_TIMES),
    ):
        if hasattr(socket, option):  # not everywhere
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
