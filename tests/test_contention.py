"""Waiting for a core that others hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from paceline import contention
from paceline.contention import Waited


def test_the_threads_of_a_process_are_added_up(tmp_path: Path) -> None:
    """In seconds; a file of another form, or a thread that has just ended, is passed over."""
    for name, text in {"1": "2000000000 500000000 7", "2": "1000000000 500000000 3", "3": "odd"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "schedstat").write_text(text, encoding="ascii")
    (tmp_path / "4").mkdir()
    found = contention.now(tmp_path)
    assert (3.0, 1.0) == (pytest.approx(found.ran), pytest.approx(found.waited))


def test_where_the_system_does_not_count_nothing_waited(tmp_path: Path) -> None:
    """No share is made up."""
    assert Waited() == contention.now(tmp_path / "none")
    assert 0.0 == contention.now(tmp_path / "none").share_since(Waited())


def test_the_share_is_of_the_time_between() -> None:
    """What too little ran to tell counts as none, and so do threads that took their waiting with them."""
    assert 0.5 == Waited(5.0, 6.0).share_since(Waited(1.0, 2.0))
    assert 0.0 == Waited(1.2, 9.0).share_since(Waited(1.0, 0.0))
    assert 0.0 == Waited(5.0, 1.0).share_since(Waited(1.0, 2.0))


def test_what_is_waited_lately_forgets_what_was_before() -> None:
    """Over the last ten seconds, looked up once a second at most, and never more than half."""
    moment, total = 0.0, Waited()
    lately = contention.Lately(read=lambda: moment, look=lambda: total)
    assert 0.0 == lately()
    moment, total = 10.0, Waited(10.0, 0.0)
    assert 0.0 == lately()
    moment, total = 10.5, Waited(10.0, 90.0)
    assert 0.0 == lately(), "half a second after the last look"
    moment, total = 12.0, Waited(11.5, 0.5)
    assert pytest.approx(0.5 / 12) == lately()
    moment, total = 21.0, Waited(15.0, 4.0)
    assert pytest.approx(4.0 / 9.0) == lately()
    moment, total = 40.0, Waited(16.0, 40.0)
    assert 0.5 == lately()
