"""The one line of a search's progress."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from paceline.tune.line import Line, text


def trial(number: int, seconds: float, value: float, ended: str = "complete") -> FrozenTrial:
    """Return a finished trial."""
    state = TrialState.COMPLETE if ended == "complete" else TrialState.PRUNED
    made = optuna.create_trial(state=state, value=value, user_attrs={"facts": {"seconds": seconds, "ended": ended}})
    made.number = number
    return made


def test_it_says_the_best_what_is_left_and_what_pruning_saved() -> None:
    """Left is what comes first: the end of time, or the number of trials at what they have taken on average."""
    done = [trial(0, 10.0, 0.5), trial(1, 12.0, 0.7), trial(2, 2.0, 0.1, "pruned")]
    said = text(done, score="average_precision", larger_is_better=True, asked=10, seconds_left=40.0)
    assert "3 of 10 trials, best average precision 0.7000 (trial 1), 40 s left, pruning 1 saved 9.0 s" == said
    said = text(done, score="average_precision", larger_is_better=True, asked=4, seconds_left=None)
    assert "8.0 s left" in said


def test_before_the_first_trial_there_is_nothing_to_say() -> None:
    """And no time is foretold."""
    assert "0 trials, none complete yet" == text(
        [], score="auroc", larger_is_better=True, asked=None, seconds_left=None
    )


def test_a_log_file_gets_a_line_every_ten_seconds_and_the_last_word(capsys: pytest.CaptureFixture[str]) -> None:
    """Steps between are not written, nor is their text made."""
    reading, made = [0.0], []

    def write(source: Any) -> str:
        made.append(source)
        return f"word {source}"

    line = Line(write, read=lambda: reading[0])
    for reading[0] in (1.0, 9.0, 10.5, 12.0):
        line.tell(reading[0])
    line.close("last")
    assert [10.5, "last"] == made
    assert "word last" in capsys.readouterr().err
