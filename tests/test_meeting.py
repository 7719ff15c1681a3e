"""Hosts meet before they train: all of them, or none, and nobody waits for ever."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from paceline import meeting
from paceline.errors import PacelineError
from paceline.hosts import Place


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def meet_in_threads(port: int, numbers: list[int], count: int, seconds: float = 20.0) -> dict[int, Any]:
    """Let the hosts of these numbers meet, and return what each heard of the others, or was told, by its number."""
    told: dict[int, Any] = {}
    met = []

    def come(number: int) -> None:
        try:
            company = meeting.meet(Place(number, count, f"127.0.0.1:{port}"), seconds=seconds)
            met.append(company)
            told[number] = company.gather({"i am": number})
        except PacelineError as error:
            told[number] = str(error)

    threads = [threading.Thread(target=come, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    with socket.socket() as engine:  # listens while they stay connected, as the engine will
        engine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        engine.bind(("", port))
        engine.listen()
    for company in met:
        company.close()
    return told


def heard(count: int) -> dict[int, Any]:
    """Return what so many hosts hear of each other."""
    return {number: [{"i am": each} for each in range(count)] for number in range(count)}


@pytest.mark.parametrize("numbers", [[0, 1, 2], [2, 1, 0]])
def test_all_go_on_together_and_the_port_is_free(port: int, numbers: list[int]) -> None:
    """In whatever order they come; the engine can listen there at once, though they stay connected."""
    assert heard(3) == meet_in_threads(port, numbers, 3)


def test_a_host_that_does_not_come_is_named(port: int) -> None:
    """Host 0 says who is missing, and who came learns that it will not begin."""
    told = meet_in_threads(port, [0, 1], 3, seconds=1.0)
    assert f"Host 0 of 3 met nobody at 127.0.0.1:{port} in 1 s: host 2 did not come." in told[0]
    assert "host 0 did not answer" in told[1]


def test_a_coordinator_that_is_not_there_is_an_error_in_time(port: int) -> None:
    """Not the end of the process, and not for ever."""
    with pytest.raises(PacelineError, match=r"^Host 1 of 2 met nobody .* Start the same command on every host"):
        meeting.meet(Place(1, 2, f"127.0.0.1:{port}"), seconds=0.5)


def test_a_port_in_use_is_said(port: int) -> None:
    """By host 0, at once."""
    with socket.create_server(("", port)), pytest.raises(PacelineError, match=r"^Host 0 cannot listen at .*: Address"):
        meeting.meet(Place(0, 2, f"127.0.0.1:{port}"), seconds=5.0)


def test_strangers_at_the_port_are_ignored(port: int) -> None:
    """A scanner's bytes, or nothing, are no host."""

    def knock() -> None:
        for _ in range(100):
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as call:
                    call.sendall(b"GET / HTTP/1.1\n")
                    return
            except OSError:
                time.sleep(0.05)

    stranger = threading.Thread(target=knock)
    stranger.start()
    told = meet_in_threads(port, [0, 1], 2)
    stranger.join(timeout=10)
    assert heard(2) == told
