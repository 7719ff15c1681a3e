"""JSON lines as input: the same table as from CSV, bad lines counted and listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from fraud_detection import data, synthetic
from fraud_detection.config import Columns, Data
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

CONFIG = Data(customers=40, terminals=60, days=25)
TABLE = Columns(labelled_at="labelled_at")


def test_json_lines_give_the_table_of_the_csv(tmp_path: Path) -> None:
    """One history written both ways is read as one table, types and order included."""
    table = synthetic.generate(CONFIG).head(500)
    table.write_csv(tmp_path / "a.csv", datetime_format="%Y-%m-%dT%H:%M:%S%.6f")
    table.write_ndjson(tmp_path / "b.jsonl")
    from_csv, from_lines = (
        data.load(Data(source="table", path=str(tmp_path / name), columns=TABLE), Quarantine())
        for name in ("a.csv", "b.jsonl")
    )
    assert_frame_equal(from_csv, from_lines)


def lines(count: int) -> list[str]:
    """Return good lines."""
    return [
        json.dumps({"transaction_id": i, "datetime": f"2025-01-01T00:00:{i:02}", "customer_id": 1, "terminal_id": "T7",
                    "amount": 9.5, "fraud": i % 2})
        for i in range(count)
    ]  # fmt: skip


def test_bad_lines_are_quarantined_with_their_place(tmp_path: Path) -> None:
    """Cut off, no object, nested beyond reason, blank: the good lines stay, the bad ones are listed by number."""
    good = lines(40)
    bad = ['{"transaction_id": 7, "amo', "[1, 2]", "[" * 100_000, "nothing"]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join([*good[:20], *bad, "", *good[20:]]) + "\n", encoding="utf-8")
    quarantine = Quarantine(tmp_path / "q.jsonl")
    table = data.load(Data(source="table", path=str(path), max_quarantined_share=0.2), quarantine)
    assert (44, 40, 4) == (quarantine.read, table.height, quarantine.quarantined)
    listed = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [f"line {number}" for number in (21, 22, 23, 24)] == [item["location"] for item in listed]


def test_a_column_of_several_types_is_read(tmp_path: Path) -> None:
    """A terminal that is a number here and text there is text; a number written as text is a number."""
    mixed = [*lines(10), json.dumps({**json.loads(lines(11)[-1]), "terminal_id": 12, "amount": "7.25"})]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(mixed), encoding="utf-8")
    table = data.load(Data(source="table", path=str(path)), Quarantine())
    assert ["T7"] * 10 + ["12"] == table["terminal_id"].to_list()
    assert 7.25 == table["amount"][-1]


@pytest.mark.parametrize(
    ("content", "cause"), [("", "it is empty"), ("no\nJSON\n", "none of its lines is a JSON object")]
)
def test_a_file_without_objects_is_refused(tmp_path: Path, content: str, cause: str) -> None:
    """One sentence says what is wrong with it."""
    path = tmp_path / "t.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PacelineError, match=cause):
        data.load(Data(source="table", path=str(path)), Quarantine())


def test_types_may_change_after_the_first_lines(tmp_path: Path) -> None:
    """A column that is a number in the first thousand lines and text later is read as text, every value kept."""
    first = [{**json.loads(lines(1)[0]), "transaction_id": number, "terminal_id": 3} for number in range(1500)]
    path = tmp_path / "t.jsonl"
    later = {**first[0], "transaction_id": 1500, "terminal_id": "T7", "amount": 2.25}
    path.write_text("\n".join(json.dumps(item) for item in [*first, later]), encoding="utf-8")
    table = data.load(Data(source="table", path=str(path)), Quarantine())
    assert {"3": 1500, "T7": 1} == dict(table["terminal_id"].value_counts().iter_rows())
    assert 1500 * 9.5 + 2.25 == table["amount"].sum()


def test_a_column_that_only_later_lines_have_is_found(tmp_path: Path) -> None:
    """The label of a transaction far down is read, the others have none."""
    unlabelled = [{name: value for name, value in json.loads(lines(1)[0]).items() if name != "fraud"}] * 1500
    items = [{**item, "transaction_id": number} for number, item in enumerate(unlabelled)]
    items[-1]["fraud"] = 1
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(json.dumps(item) for item in items), encoding="utf-8")
    table = data.load(Data(source="table", path=str(path)), Quarantine())
    assert (1, 1499) == (table["fraud"].sum(), table["fraud"].null_count())
