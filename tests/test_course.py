"""The course of a training: the best step, patience, what is kept."""

from __future__ import annotations

import pytest

from paceline.course import Course


def course(*, larger_is_better: bool = True, patience: int = 2, unit: str = "round") -> Course:
    """Return a course at its beginning."""
    return Course(unit, "validation_auc_roc", larger_is_better, patience)


def go(on: Course, scores: list[float]) -> list[bool]:
    """Judge scores step by step until training ends; return which were the best so far."""
    judged = []
    for score in scores:
        if on.ended:
            break
        on.step += 1
        judged.append(on.judge(score))
    return judged


@pytest.mark.parametrize(("larger_is_better", "sign"), [(True, 1), (False, -1)])
def test_patience_counts_from_the_best_step(larger_is_better: bool, sign: int) -> None:
    """Training ends when as many steps as patience brought nothing better, in either direction."""
    on = course(larger_is_better=larger_is_better)
    judged = go(on, [sign * score for score in (0.5, 0.7, 0.6, 0.8, 0.8, 0.1, 0.9)])
    assert [True, True, False, True, False, False] == judged
    assert (4, sign * 0.8, 4) == (on.best_step, on.best_score, on.kept())
    assert "no better validation score for 2 rounds" == on.ended


def test_without_patience_all_steps_are_gone_through_and_the_last_is_kept() -> None:
    """Zero never ends it, though the best is still known."""
    on = course(patience=0)
    go(on, [0.9, *[0.1] * 50])
    assert ("", 1, 51) == (on.ended, on.best_step, on.kept())


def test_a_score_that_is_no_number_is_never_the_best() -> None:
    """NaN neither becomes the best nor hides a later one, and uses up patience."""
    on = course(patience=3)
    nan = float("nan")
    assert [False, False, True, False, False] == go(on, [nan, nan, 0.1, nan, nan])
    assert (3, 0.1) == (on.best_step, on.best_score)
    only = course(patience=2)
    go(only, [nan] * 9)
    assert ("no better validation score for 2 rounds", 0, 2) == (only.ended, only.best_step, only.kept())


def test_the_reason_counts_in_the_right_number() -> None:
    """One epoch, two epochs."""
    on = course(patience=1, unit="epoch")
    go(on, [0.5, 0.5])
    assert "no better validation score for 1 epoch" == on.ended


def test_a_course_survives_its_checkpoint() -> None:
    """What `load` reads is equal to what was dumped, unfinished or not, and goes on alike."""
    on = course()
    go(on, [0.5, float("nan")])
    on.rows.append({"step": 1, "validation_auc_roc": 0.5})
    again = Course.load(on.dump())
    assert on == again
    assert go(on, [0.4, 0.3]) == go(again, [0.4, 0.3])
    assert on == again


def test_history_is_what_the_record_keeps() -> None:
    """The report needs the unit, the monitor and its direction, the best step, the reason and the rows."""
    on = course(larger_is_better=False)
    go(on, [0.5, 0.6, 0.7])
    on.rows.append({"step": 1})
    assert {
        "stage": "select",
        "step_unit": "round",
        "monitor": "validation_auc_roc",
        "mode": "min",
        "best_step": 1,
        "stop_reason": "no better validation score for 2 rounds",
        "rows": [{"step": 1}],
    } == on.history("select")


def test_the_note_is_the_best_score_without_its_prefix() -> None:
    """The progress line has few characters; before there is a best it has none."""
    on = course()
    assert "" == on.note()
    go(on, [0.51234])
    assert "best auc_roc 0.512" == on.note()
