"""What a user sees of an error: a cause, a remedy, in one line."""

from __future__ import annotations

import pytest

from paceline.errors import PacelineError, Stopped


def test_an_error_reads_as_cause_and_remedy() -> None:
    """The text is the two sentences, and each can be had by itself."""
    error = PacelineError("train.rounds is -1.", "Set 1 or more.")
    assert "train.rounds is -1. Set 1 or more." == str(error)
    assert ("train.rounds is -1.", "Set 1 or more.") == (error.cause, error.remedy)


def test_an_error_without_a_remedy_cannot_be_raised() -> None:
    """Whoever raises it has to say what the user can do."""
    with pytest.raises(TypeError):
        PacelineError("Something is wrong.")  # type: ignore[call-arg]


@pytest.mark.parametrize("resumable", [True, False])
def test_a_stop_says_why_and_whether_it_can_go_on(resumable: bool) -> None:
    """A stop is no error of the user's: it must not be caught as one."""
    stop = Stopped("SIGTERM ended it after 30 rounds.", resumable=resumable)
    assert not isinstance(stop, PacelineError)
    assert ("SIGTERM ended it after 30 rounds.", resumable) == (str(stop), stop.resumable)
