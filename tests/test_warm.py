"""Whether data stay in memory from pass to pass, by figures of memory that a test gives."""

from __future__ import annotations

import pytest

from paceline import device, warm

GB = 2**30


@pytest.mark.parametrize(("expected", "data_gb", "free_gb"), [(False, 3, 4), (False, 4, 4), (True, 5, 4)])
def test_data_larger_than_the_free_memory_are_cold(expected: bool, data_gb: int, free_gb: int) -> None:
    """And a sentence says so with both sizes, where they are."""
    found = warm.of(data_gb * GB, memory=lambda: free_gb * GB)
    assert expected == found.cold()
    assert expected == ("(5.0 GB) are more than the free memory (4.0 GB)" in found.sentence())
    assert {"data_bytes": data_gb * GB, "free_bytes": free_gb * GB, "cold": expected} == found.state()


def test_data_that_are_in_memory_have_room_there() -> None:
    """Most of the memory is theirs already; twice as many would not fit."""
    found = warm.of(3 * GB, resident=True, memory=lambda: 2 * GB)
    assert not found.cold()
    assert found.cold(2.0)


def test_what_is_not_known_is_not_called_cold() -> None:
    """However many times it is."""
    assert warm.UNKNOWN == warm.of(0, memory=lambda: 0)
    assert not warm.UNKNOWN.cold(100.0)
    assert not warm.UNKNOWN.sentence()


def test_free_memory_is_no_more_than_a_containers_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's may be much more."""
    assert 0 < warm.free_bytes()
    monkeypatch.setattr(device, "hardware", lambda: {"memory_gb": 0.5})
    assert warm.free_bytes() <= 0.5 * GB
