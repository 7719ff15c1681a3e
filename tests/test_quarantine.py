"""The quarantine: everything is counted and listed, what is shown is safe, and the numbers must add up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paceline.errors import PacelineError
from paceline.quarantine import Quarantine


def filled(path: Path | None = None) -> Quarantine:
    """Return one with five items of a reason and two of another, of 100 read."""
    quarantine = Quarantine(path, examples_per_reason=2)
    quarantine.count(read=100, kept=93)
    quarantine.add_many("truncated image", [("a.zip", f"image {index}", "") for index in range(5)])
    quarantine.add("b.csv", "line 3", "label is no class", "tractor")
    quarantine.add("b.csv", "line 9", "label is no class", "boat")
    return quarantine


def test_state_counts_by_reason_and_keeps_a_few_examples() -> None:
    """All items are counted, the commonest reason first; of each reason the first items are kept as examples."""
    state = filled().state()
    assert (100, 93, 7) == (state["read"], state["kept"], state["quarantined"])
    assert [("truncated image", 5), ("label is no class", 2)] == list(state["by_reason"].items())
    assert ["image 0", "image 1", "line 3", "line 9"] == [item["location"] for item in state["examples"]]
    json.dumps(state)


def test_items_that_do_not_add_up_are_an_error_of_the_reader() -> None:
    """A reader that loses or doubles an item is found out when the state is asked for."""
    for kept in (-1, 1):
        quarantine = filled()
        quarantine.count(kept=kept)
        with pytest.raises(RuntimeError, match="read 100"):
            quarantine.state()
        with pytest.raises(RuntimeError, match="read 100"):
            quarantine.refuse_above(1.0, setting="data.max_quarantined_share")


def test_every_item_is_written_apart(tmp_path: Path) -> None:
    """The file has each item on a line of its own, also those that are no examples; nothing bad, no file."""
    path = tmp_path / "run" / "quarantine.jsonl"
    Quarantine(path).state()
    assert not path.exists()
    filled(path)
    items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert 7 == len(items)
    assert {"source": "b.csv", "location": "line 9", "reason": "label is no class", "example": "boat"} == items[-1]


def test_each_reading_begins_the_list_anew(tmp_path: Path) -> None:
    """A second command's list holds its own items alone, and a clean second reading leaves no old list."""
    path = tmp_path / "quarantine.jsonl"
    filled(path)
    filled(path)
    assert 7 == len(path.read_text(encoding="utf-8").splitlines())
    Quarantine(path).count(read=3, kept=3)
    assert not path.exists()


def test_the_first_items_can_be_shown() -> None:
    """With what stood there, which the record does not hold; the commonest reason first."""
    shown = filled().examples()
    assert "truncated image" == shown[0]["reason"]
    assert {"source": "b.csv", "location": "line 9", "reason": "label is no class", "example": "boat"} == shown[-1]


def test_refusal_above_the_share_names_count_reason_and_example() -> None:
    """Exactly the share is allowed; above it the message has all that is needed to mend the input."""
    filled().refuse_above(0.07, setting="data.max_quarantined_share")
    with pytest.raises(PacelineError) as refusal:
        filled().refuse_above(0.069, setting="data.max_quarantined_share")
    for part in (
        "7 of 100",
        "7.0%",
        "6.9%",
        "5 because 'truncated image'",
        "a.zip, image 0",
        "data.max_quarantined_share",
    ):
        assert part in str(refusal.value)


def test_refusal_names_the_list_where_there_is_one(tmp_path: Path) -> None:
    """Whoever has to mend many items is sent to the file that has them all."""
    with pytest.raises(PacelineError, match=r"quarantine\.jsonl"):
        filled(tmp_path / "quarantine.jsonl").refuse_above(0.0, setting="data.max_quarantined_share")


def test_nothing_bad_is_never_refused() -> None:
    """Without a bad item even the strictest share passes, also when nothing was read."""
    Quarantine().refuse_above(0.0, setting="data.max_quarantined_share")
    assert {} == Quarantine().state()["by_reason"]


def test_examples_are_one_short_printable_line(tmp_path: Path) -> None:
    """What a hostile file holds reaches neither a terminal nor the list raw, nor at any length."""
    path = tmp_path / "quarantine.jsonl"
    quarantine = Quarantine(path)
    quarantine.count(read=3)
    for example in ("\x1b[2Jgone\r\n\u202etxt", "x" * 1_000_000, "\udcff"):
        quarantine.add("a\nb.csv", "line 1\x07", "odd text", example)
    shown = [json.loads(line)["example"] for line in path.read_text(encoding="utf-8").splitlines()]
    assert r"\x1b[2Jgone\r\n\u202etxt" == shown[0]
    assert 160 == len(shown[1])
    examples = quarantine.state()["examples"]
    assert all(value.isprintable() for item in examples for value in item.values())
    assert all({"source", "location", "reason"} == set(item) for item in examples)  # no rows of customers in a record
    assert 3 == len(path.read_text(encoding="utf-8").splitlines())
