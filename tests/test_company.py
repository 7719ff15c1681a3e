"""Hosts that have met: what one says the others hear, and nobody goes unnoticed."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from paceline.company import Company
from paceline.errors import PacelineError
from paceline.hosts import Place


class Three:
    """Three hosts in one process, and the losses that each was told of."""

    def __init__(self) -> None:
        pairs = {number: socket.socketpair(socket.AF_UNIX) for number in (1, 2)}
        self.told: dict[int, queue.SimpleQueue[str]] = {number: queue.SimpleQueue() for number in range(3)}
        links = [{number: pair[0] for number, pair in pairs.items()}, {0: pairs[1][1]}, {0: pairs[2][1]}]
        self.hosts = [Company(Place(number, 3, "10.0.0.1:1"), links[number], self.hear(number)) for number in range(3)]

    def hear(self, number: int) -> Callable[[int, str], None]:
        """Return what a host is told of losses with."""
        return lambda _, sentence: self.told[number].put(sentence)


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Iterator[Three]:
    """Hosts without a network between them."""
    monkeypatch.setattr("paceline.company._ask_when_silent", lambda link: link.settimeout(None))
    made = Three()
    yield made
    for host in made.hosts:
        host.close()


def gathered(three: Three) -> dict[int, list[int]]:
    """Let every host say ten times its number, and return what each heard."""
    found: dict[int, list[int]] = {}
    threads = [
        threading.Thread(
            target=lambda host=host: found.update({host.place.number: host.gather(10 * host.place.number)})
        )
        for host in three.hosts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    return found


def test_every_host_hears_every_host(three: Three) -> None:
    """In the order of their numbers, as often as they talk."""
    for _ in range(3):
        assert {number: [0, 10, 20] for number in range(3)} == gathered(three)


@pytest.mark.parametrize("number", [0, 1])
def test_a_host_that_goes_without_a_word_is_missed_by_all(three: Three, number: int) -> None:
    """Those that are not connected with it hear of it from host 0; whoever waits for it waits no longer."""
    three.hosts[number].close()
    for other in {0, 1, 2} - {number}:
        assert f"Host {number} has gone." == three.told[other].get(timeout=10)
        with pytest.raises(PacelineError, match=rf"^Host {number} has gone\. See what ended it"):
            three.hosts[other].gather("is anybody there?")


def test_a_host_that_fails_says_why(three: Three) -> None:
    """The others repeat it, and it hears no more of itself."""
    three.hosts[2].leave("There are no images in 'frames'. Give another folder.")
    for other in (0, 1):
        assert "Host 2 has gone: There are no images in 'frames'. Give another folder." == three.told[other].get(
            timeout=10
        )
    assert three.told[2].empty()


def test_a_host_that_is_done_may_go(three: Three) -> None:
    """Nobody is told; but who wants to hear of it again learns that it has ended."""
    three.hosts[1].done()
    assert {number: [0, 10, 20] for number in range(3)} == gathered(three)  # what was said before is not lost
    three.hosts[1].done()
    three.hosts[1].close()
    with pytest.raises(PacelineError, match=r"^Host 1 has ended its run\."):
        three.hosts[0].gather("is anybody there?")
    assert all(told.empty() for told in three.told.values())


@pytest.mark.parametrize("bytes_", [b"\x80\x04K\x01.\n", b"GET / HTTP/1.1\n", b"{\n", b"7\n", b'{"gone": []}\n'])
def test_what_is_no_json_is_a_host_that_has_gone(three: Three, bytes_: bytes) -> None:
    """A pickle among it: nothing that comes over the network is more than values."""
    three.hosts[1]._links[0].sendall(bytes_)
    assert "Host 1 has gone." == three.told[0].get(timeout=10)
