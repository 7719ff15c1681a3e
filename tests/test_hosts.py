"""The place that the environment gives a process among several."""

from __future__ import annotations

import pytest

from paceline import hosts
from paceline.errors import PacelineError


def set_place(monkeypatch: pytest.MonkeyPatch, count: str, number: str, addresses: str) -> None:
    """Set what names this process's place."""
    monkeypatch.setenv(hosts.COUNT, count)
    monkeypatch.setenv(hosts.NUMBER, number)
    monkeypatch.setenv(hosts.ADDRESSES, addresses)


def test_a_process_is_alone_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable, or one host: nothing to join, and everything is written."""
    for name in (hosts.COUNT, hosts.NUMBER, hosts.ADDRESSES):
        monkeypatch.delenv(name, raising=False)
    assert hosts.Place(0, 1, "") == hosts.place()
    assert hosts.place().writes
    monkeypatch.setenv(hosts.COUNT, "1")
    assert hosts.Place() == hosts.place()


def test_the_first_of_several_coordinates_and_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a list of addresses the first counts."""
    set_place(monkeypatch, "2", "1", "10.0.0.1:9876, 10.0.0.2:9876")
    assert hosts.Place(1, 2, "10.0.0.1:9876") == hosts.place()
    assert not hosts.place().writes
    set_place(monkeypatch, "2", "0", "10.0.0.1:9876")
    assert hosts.place().writes


@pytest.mark.parametrize(
    ("expected", "count", "number", "addresses"),
    [
        ("KERAS_DISTRIBUTION_NUM_PROCESSES is 'two'.", "two", "0", "a:1"),
        ("KERAS_DISTRIBUTION_PROCESS_ID is ''.", "2", "", "a:1"),
        ("KERAS_DISTRIBUTION_PROCESS_ID is 2 and KERAS_DISTRIBUTION_NUM_PROCESSES is 2.", "2", "2", "a:1"),
        ("KERAS_DISTRIBUTION_JOB_ADDRESSES is ''.", "2", "0", ""),
        ("KERAS_DISTRIBUTION_JOB_ADDRESSES is '10.0.0.1'.", "2", "0", "10.0.0.1"),
    ],
)
def test_a_place_that_does_not_fit_is_refused(
    expected: str, count: str, number: str, addresses: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence names the variable and its value."""
    set_place(monkeypatch, count, number, addresses)
    with pytest.raises(PacelineError) as refused:
        hosts.place()
    assert expected == refused.value.cause
