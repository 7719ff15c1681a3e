"""Reading: real formats give one table; what is bad is counted, listed with its place, and never stops the rest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from fraud_detection import data, synthetic
from fraud_detection.config import Columns, Data
from fraud_detection.splits import PrequentialSplit
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

HEADER = "id,when,card,shop,amount,fraud"
COLUMNS = Columns(
    transaction_id="id", datetime="when", customer_id="card", terminal_id="shop", amount="amount", fraud="fraud"
)
GOOD = [
    f"{index},2025-01-{1 + index % 28:02} 10:{index % 60:02}:00,c{index % 7},{index % 5},{index}.50,{index % 10 // 9}"
    for index in range(20)
]


def config(path: Path, share: float = 1.0) -> Data:
    """Return the configuration that reads these files."""
    return Data(source="table", path=str(path), columns=COLUMNS, max_quarantined_share=share)


def csv(path: Path, lines: list[str] | list[bytes], header: str = HEADER) -> Path:
    """Write a CSV file, in UTF-8 where the lines are text."""
    encoded = [line.encode() if isinstance(line, str) else line for line in lines]
    path.write_bytes(b"\n".join([header.encode(), *encoded]) + b"\n")
    return path


def load(path: Path, share: float = 1.0) -> tuple[pl.DataFrame, dict[str, object]]:
    """Return the table and what the quarantine says."""
    quarantine = Quarantine()
    return data.load(config(path, share), quarantine), quarantine.state()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",2025-01-01 10:00:00,c1,1,5.00,0", "transaction_id is missing"),
        ("99,2025-01-01 10:00:00, ,1,5.00,0", "customer_id is missing"),
        ("99,2025-01-01 10:00:00,c1,,5.00,0", "terminal_id is missing"),
        ("99,yesterday,c1,1,5.00,0", "datetime is no ISO 8601 date and time"),
        ("99,2025-02-30 10:00:00,c1,1,5.00,0", "datetime is no ISO 8601 date and time"),
        ("99,,c1,1,5.00,0", "datetime is no ISO 8601 date and time"),
        ("99,1025-01-01 10:00:00,c1,1,5.00,0", "datetime is before 1970 or after 2099"),
        ("99,2100-01-01,c1,1,5.00,0", "datetime is before 1970 or after 2099"),
        ("99,2025-01-01 10:00:00,c1,1,five,0", "amount is no number"),
        ("99,2025-01-01 10:00:00,c1,1,,0", "amount is no number"),
        ("99,2025-01-01 10:00:00,c1,1,nan,0", "amount is no number"),
        ("99,2025-01-01 10:00:00,c1,1,inf,0", "amount is no number"),
        ("99,2025-01-01 10:00:00,c1,1,-5.00,0", "amount is negative"),
        ("99,2025-01-01 10:00:00,c1,1,1e300,0", "amount is above 1,000,000,000"),
        ("99,2025-01-01 10:00:00,c1,1,5.00,2", "fraud is not 0 or 1"),
        ("99,2025-01-01 10:00:00,c1,1,5.00,maybe", "fraud is not 0 or 1"),
        ("7,2025-01-01 10:00:00,c1,1,5.00,0", "transaction_id is repeated"),
        ("99,2025-01-01 10:00:00,c1,1,5.00", "line does not have the header's fields"),
        ("99,2025-01-01 10:00:00,c1,1,5,00,0", "line does not have the header's fields"),
        ('99,"2025-01-01 10:00:00,c1,1,5.00,0', "line does not have the header's fields"),
        ("99,2025-01-01 10:00:00,c1,1,5.0", "line does not have the header's fields"),
        (b"99,2025-01-01 10:00:00,caf\xe9,1,5.00,0", "text is not UTF-8 or holds a NUL"),
        (b"99,2025-01-01 10:00:00,c\x001,1,5.00,0", "text is not UTF-8 or holds a NUL"),
    ],
)
def test_a_bad_line_is_quarantined_with_its_place_and_the_others_are_kept(
    tmp_path: Path, line: str | bytes, reason: str
) -> None:
    """One defect costs one row, whatever it is; the record names file, line and reason."""
    good, _ = load(csv(tmp_path / "good.csv", GOOD))
    encoded: list[bytes] = [text.encode() for text in GOOD]
    encoded.insert(12, line.encode() if isinstance(line, str) else line)
    table, state = load(csv(tmp_path / "bad.csv", encoded))
    assert {reason: 1} == state["by_reason"]
    assert (21, 20) == (state["read"], state["kept"])
    assert [("bad.csv", "line 14")] == [(item["source"], item["location"]) for item in state["examples"]]  # type: ignore[attr-defined]
    assert good.equals(table)


def test_more_bad_rows_than_allowed_are_refused_with_count_and_example(tmp_path: Path) -> None:
    """Over the share the run stops, in one sentence with the count, the reason and a line to look at."""
    lines = [*GOOD, "98,2025-01-01 10:00:00,c1,1,-4.00,0", "99,2025-01-01 10:00:00,c1,1,-5.00,0"]
    path = csv(tmp_path / "cards.csv", lines)
    with pytest.raises(PacelineError) as refusal:
        load(path, share=0.05)
    for part in (
        "2 of 22",
        "9.1%",
        "amount is negative",
        "cards.csv",
        "line 22",
        "-4.00",
        "data.max_quarantined_share",
    ):
        assert part in str(refusal.value)
    assert 20 == load(path, share=0.1)[0].height


@pytest.mark.parametrize(("bad", "refused"), [(1, False), (2, True)])
def test_one_bad_row_in_a_hundred_is_allowed_by_default(bad: int, refused: bool, tmp_path: Path) -> None:
    """At the default share one of a hundred is set apart, and two are too many."""
    lines = [f"{index},2025-01-{1 + index % 28:02} 10:00:00,c{index % 7},1,5.00,0" for index in range(100 - bad)]
    path = csv(
        tmp_path / "cards.csv", [*lines, *(f"b{index},2025-01-01 10:00:00,c1,1,-4.00,0" for index in range(bad))]
    )
    asked = Data(source="table", path=str(path), columns=COLUMNS)
    with pytest.raises(PacelineError, match="2 of 100") if refused else nullcontext():
        data.load(asked, Quarantine())


def test_every_quarantined_row_is_listed_apart(tmp_path: Path) -> None:
    """The file has a line for each bad row, not only for the examples kept in memory."""
    bad = [f"b{index},2025-01-01 10:00:00,c1,1,-{index}.00,0" for index in range(1, 11)]
    quarantine = Quarantine(tmp_path / "quarantine.jsonl")
    data.load(config(csv(tmp_path / "cards.csv", [*GOOD, *bad])), quarantine)
    assert 10 == len((tmp_path / "quarantine.jsonl").read_text().splitlines())


def test_rows_come_out_in_the_order_of_time(tmp_path: Path) -> None:
    """Dates out of order are no defect; ties are in the order of ids."""
    table, state = load(
        csv(tmp_path / "a.csv", [*GOOD[::-1], "3000,2025-01-01 10:00:00,c1,1,1,0", "200,2025-01-01 10:00:00,c1,1,1,0"])
    )
    assert 0 == state["quarantined"]
    assert table.equals(table.sort("datetime", "transaction_id"))
    assert [0, 200, 3000] == table["transaction_id"].to_list()[:3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-01-02 03:04:05", datetime(2025, 1, 2, 3, 4, 5)),
        ("2025-01-02T03:04:05.250", datetime(2025, 1, 2, 3, 4, 5, 250_000)),
        ("2025-01-02T03:04:05Z", datetime(2025, 1, 2, 3, 4, 5)),
        ("2025-01-02T03:04:05+02:00", datetime(2025, 1, 2, 1, 4, 5)),
        ("2025-01-02 03:04:05 UTC", datetime(2025, 1, 2, 3, 4, 5)),
        ("2025-01-02 03:04", datetime(2025, 1, 2, 3, 4)),
        ("2025-01-02", datetime(2025, 1, 2)),
    ],
)
def test_forms_of_a_moment(tmp_path: Path, text: str, expected: datetime) -> None:
    """Each usual form of ISO 8601 is read, also among rows of another form, and zones become UTC."""
    table, _ = load(csv(tmp_path / "a.csv", [*GOOD, f"x,{text},c1,1,5.00,0"]))
    assert expected == table.filter(pl.col("transaction_id") == "x")["datetime"].item()


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_line_ends_and_a_byte_order_mark(tmp_path: Path, separator: str) -> None:
    """What spreadsheets write is read like the plain form."""
    expected, _ = load(csv(tmp_path / "plain.csv", GOOD))
    path = tmp_path / "other.csv"
    text = "\r\n".join([HEADER, *GOOD, ""]).replace(",", separator)
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert expected.equals(load(path)[0])


def test_blank_lines_and_quotes_are_no_defects(tmp_path: Path) -> None:
    """Empty lines are skipped and quoted fields are read, in the same file as a broken line."""
    quoted = [",".join(f'"{field}"' for field in line.split(",")) for line in GOOD]
    expected, _ = load(csv(tmp_path / "plain.csv", GOOD))
    table, state = load(csv(tmp_path / "a.csv", [*quoted[:5], "", *quoted[5:], "", "1,2"]))
    assert expected.equals(table)
    assert (21, 20, 1) == (state["read"], state["kept"], state["quarantined"])


def test_parquet_gives_the_same_table_as_csv(tmp_path: Path) -> None:
    """Native types (dates with a zone, floats for ids, booleans for labels, text) lead to the same table."""
    expected, _ = load(csv(tmp_path / "a.csv", GOOD))
    frame = pl.read_csv(tmp_path / "a.csv", try_parse_dates=True)
    moment = pl.col("when").cast(pl.Datetime("ns"))
    forms = {
        "native": frame,
        "text": frame.with_columns(pl.all().cast(pl.String)),
        "other": frame.with_columns(
            moment.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Brussels"), pl.col("fraud").cast(pl.Boolean)
        ),
        "pandas": frame.with_columns(
            moment, pl.col("id", "shop", "fraud").cast(pl.Float64), pl.col("card").cast(pl.Categorical)
        ),
    }
    for name, form in forms.items():
        form.write_parquet(tmp_path / f"{name}.parquet")
        assert expected.equals(load(tmp_path / f"{name}.parquet")[0]), name


def test_defects_in_a_parquet_file_are_quarantined_by_row(tmp_path: Path) -> None:
    """Nulls, NaN and negative amounts in typed columns are bad rows too."""
    csv(tmp_path / "a.csv", GOOD)
    frame = pl.read_csv(tmp_path / "a.csv", try_parse_dates=True)
    row = pl.int_range(pl.len())
    amount = (
        pl.when(row == 3).then(float("nan")).when(row == 4).then(-1.0).when(row == 5).then(None).otherwise("amount")
    )
    bad = frame.with_columns(amount=amount, card=pl.when(row != 6).then("card"), id=pl.when(row != 7).then("id"))
    bad.write_parquet(tmp_path / "a.parquet")
    table, state = load(tmp_path / "a.parquet")
    reasons = {
        "amount is no number": 2,
        "amount is negative": 1,
        "customer_id is missing": 1,
        "transaction_id is missing": 1,
    }
    assert reasons == state["by_reason"]
    assert 15 == table.height
    assert "row 5" in [item["location"] for item in state["examples"]]  # type: ignore[attr-defined]


def test_a_missing_label_is_no_defect(tmp_path: Path) -> None:
    """A transaction without a label yet is kept, with null label and arrival; the others' arrive after the delay."""
    table, state = load(csv(tmp_path / "a.csv", [*GOOD, "99,2025-01-28 10:00:00,c1,1,5.00,"]))
    assert 21 == state["kept"]
    assert [(None, None)] == table.filter(pl.col("transaction_id") == 99).select("fraud", "labelled_at").rows()
    labelled = table.drop_nulls("fraud")
    assert {7} == set((labelled["labelled_at"] - labelled["datetime"]).dt.total_days())


def test_arrival_of_labels_is_read_where_it_is_named(tmp_path: Path) -> None:
    """Arrivals are used as they are, completed by the delay where empty, and quarantined where they cannot be."""
    lines = [f"{line},2025-03-01" for line in GOOD]
    lines += ["97,2025-01-02,c1,1,5.00,1,", "98,2025-01-02,c1,1,5.00,1,2025-01-01", "99,2025-01-02,c1,1,5.00,1,soon"]
    path = csv(tmp_path / "a.csv", lines, HEADER + ",known")
    named = config(path).model_copy(update={"columns": COLUMNS.model_copy(update={"labelled_at": "known"})})
    quarantine = Quarantine()
    table = data.load(named, quarantine)
    reasons = {"labelled_at is before the transaction": 1, "labelled_at is no ISO 8601 date and time": 1}
    assert reasons == quarantine.state()["by_reason"]
    assert {datetime(2025, 3, 1)} == set(table.filter(pl.col("transaction_id") < 20)["labelled_at"])
    assert datetime(2025, 1, 9) == table.filter(pl.col("transaction_id") == 97)["labelled_at"].item()


def test_a_folder_is_one_table_and_ids_are_unique_across_its_files(tmp_path: Path) -> None:
    """CSV and Parquet may lie side by side, with ids of either kind; a repeated id is found wherever it is."""
    csv(tmp_path / "1.csv", GOOD[:10])
    pl.read_csv(csv(tmp_path / "x.csv", GOOD[9:]), try_parse_dates=True).write_parquet(tmp_path / "2.parquet")
    (tmp_path / "x.csv").unlink()
    csv(tmp_path / "3.csv", ["new,2025-01-01 10:00:00,c1,1,5.00,0"])
    table, state = load(tmp_path)
    assert (22, 21) == (state["read"], state["kept"])
    assert {"transaction_id is repeated": 1} == state["by_reason"]
    assert "2.parquet" == state["examples"][0]["source"]  # type: ignore[index]
    assert pl.String == table["transaction_id"].dtype
    assert pl.Int64 == table["terminal_id"].dtype


def cut(raw: bytes) -> bytes:
    """Leave the first half."""
    return raw[: len(raw) // 2]


def garble(raw: bytes) -> bytes:
    """Spoil the data and leave head and footer."""
    return raw[:40] + bytes(byte ^ 0xFF for byte in raw[40:-300]) + raw[-300:]


@pytest.mark.parametrize("damage", [cut, garble, lambda raw: b"", lambda raw: b"no parquet"])
def test_a_damaged_parquet_file_is_refused_alone_and_quarantined_among_others(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """Alone it is a clear error with its name; in a folder it is left out as a whole."""
    folder = tmp_path / "days"
    files = synthetic.write(folder, Data(customers=50, terminals=40, days=21))
    whole = data.load(Data(source="handbook", path=str(folder)), Quarantine())
    files[3].write_bytes(damage(files[3].read_bytes()))
    with pytest.raises(PacelineError, match=r"2025-01-04\.parquet.*cannot be read"):
        data.load(Data(source="handbook", path=str(files[3])), Quarantine())
    quarantine = Quarantine()
    rest = data.load(Data(source="handbook", path=str(folder), max_quarantined_share=0.2), quarantine)
    assert whole.filter(pl.col("datetime").dt.date() != datetime(2025, 1, 4).date()).equals(rest)
    assert {"file cannot be read": 1} == quarantine.state()["by_reason"]


def test_too_many_damaged_bytes_in_a_folder_are_refused(tmp_path: Path) -> None:
    """A damaged file's rows cannot be counted, so its share of the bytes decides."""
    csv(tmp_path / "1.csv", GOOD)
    (tmp_path / "2.parquet").write_bytes(b"PAR1" + bytes(2_000))
    with pytest.raises(PacelineError, match=r"1 of 2 files cannot be read.*2\.parquet"):
        load(tmp_path, share=0.01)


def test_missing_column_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    """The message names the file, the column that was looked for, the nearest there is and the key to set."""
    path = csv(tmp_path / "a.csv", GOOD, HEADER.replace("amount", "Amount_EUR"))
    with pytest.raises(PacelineError) as refusal:
        load(path)
    for part in ("a.csv", "'amount'", "Did you mean 'Amount_EUR'?", "data.columns.amount"):
        assert part in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"\n\n", "it is empty"),
        (HEADER.encode() + b"\n", "There is no transaction"),
        ("\n".join([HEADER, *GOOD]).encode("utf-16"), "UTF-16"),
        (HEADER.replace(",", "\r").encode() + b"\n" + GOOD[0].encode(), "its first line is no header"),
        (HEADER.encode() + b",amount\n" + GOOD[0].encode() + b",1\n", "has 2 columns 'amount'"),
    ],
)
def test_a_file_without_transactions_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """Empty files, headers alone and other encodings give one clear sentence."""
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(PacelineError, match=message):
        load(path)


def test_pickles_are_refused_with_the_reason(tmp_path: Path) -> None:
    """The Handbook's own files can run code when opened: the message says so and how to convert them."""
    (tmp_path / "2018-04-01.pkl").write_bytes(b"\x80\x04.")
    for path in (tmp_path, tmp_path / "2018-04-01.pkl"):
        with pytest.raises(PacelineError, match=r"can run code.*to_parquet"):
            load(path)


@pytest.mark.parametrize("path", ["", "nowhere"])
def test_no_data_is_a_clear_error(path: str) -> None:
    """A path that is empty or does not exist is named."""
    with pytest.raises(PacelineError, match=r"data\.path"):
        data.load(Data(source="table", path=path), Quarantine())


def test_new_transactions_are_read_without_labels(tmp_path: Path) -> None:
    """For prediction the label columns may be absent, and are not read where they are there."""
    for header, lines in ((HEADER, GOOD), (HEADER.removesuffix(",fraud"), [line.rpartition(",")[0] for line in GOOD])):
        path = csv(tmp_path / "new.csv", lines, header)
        table = data.load_unlabelled([path], config(path), Quarantine())
        assert 20 == table.height == table["fraud"].null_count() == table["labelled_at"].null_count()


def test_audit_says_what_is_in_the_table(tmp_path: Path) -> None:
    """Counts by class, dates, parties, quantiles and the quarantine, as computed by hand."""
    quarantine = Quarantine()
    lines = [*GOOD, "98,2025-01-28 10:00:00,c1,1,5.00,", "99,2025-01-01 10:00:00,c1,1,-5.00,0"]
    table = data.load(config(csv(tmp_path / "a.csv", lines)), quarantine)
    sheet = data.audit(table, quarantine)
    assert {"genuine": 18, "fraud": 2, "unlabelled": 1} == sheet["classes"]
    assert 0.1 == sheet["prevalence"]
    assert (datetime(2025, 1, 1, 10), datetime(2025, 1, 28, 10)) == (sheet["first"], sheet["last"])
    assert (7, 5, 21) == (sheet["customers"], sheet["terminals"], sheet["days_with_transactions"])
    assert (0.5, 19.5) == (sheet["amount"]["min"], sheet["amount"]["max"])
    assert 7.0 == sheet["fraud_label_delay_days"]["p50"]
    assert {"amount is negative": 1} == sheet["quarantine"]["by_reason"]


def test_utc_is_what_times_with_a_zone_become(tmp_path: Path) -> None:
    """A typed column with a zone is turned into UTC, not cut off."""
    csv(tmp_path / "a.csv", GOOD)
    moment = datetime(2025, 7, 1, 12, tzinfo=UTC)
    frame = pl.read_csv(tmp_path / "a.csv").with_columns(when=pl.lit(moment).dt.convert_time_zone("America/New_York"))
    frame.write_parquet(tmp_path / "a.parquet")
    assert {datetime(2025, 7, 1, 12)} == set(load(tmp_path / "a.parquet")[0]["datetime"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-07-01 12:00:00", datetime(2025, 7, 1, 10)),
        ("2025-01-01 12:00:00", datetime(2025, 1, 1, 11)),
        ("2025-07-01 12:00:00Z", datetime(2025, 7, 1, 12)),
        ("2025-07-01T12:00:00-05:00", datetime(2025, 7, 1, 17)),
        ("2025-07-01T12:00Z", datetime(2025, 7, 1, 12)),
        ("2025-07-01 12:00+05:30", datetime(2025, 7, 1, 6, 30)),
        ("2025-07-01 12:00 UTC", datetime(2025, 7, 1, 12)),
        ("2025-07-01 12:00", datetime(2025, 7, 1, 10)),
        ("2025-10-26 02:30:00", None),
        ("2025-03-30 02:30:00", None),
        ("2025-10-26 02:30:00+02:00", datetime(2025, 10, 26, 0, 30)),
    ],
)
def test_times_without_a_zone_are_of_the_configured_one(tmp_path: Path, text: str, expected: datetime | None) -> None:
    """Aware and naive times mix and become UTC; naive ones that the clocks repeat or skip are quarantined."""
    settings = config(csv(tmp_path / "a.csv", [*GOOD, f"99,{text},c1,1,5.00,0"]))
    quarantine = Quarantine()
    table = data.load(settings.model_copy(update={"time_zone": "Europe/Brussels"}), quarantine)
    found = table.filter(pl.col("transaction_id") == 99)["datetime"].to_list()
    assert ([expected] if expected else []) == found
    reason = "time is skipped or repeated by the clocks of Europe/Brussels"
    assert ({} if expected else {reason: 1}) == quarantine.state()["by_reason"]


def test_typed_times_without_a_zone_are_of_the_configured_one(tmp_path: Path) -> None:
    """A Parquet column of naive times is treated like text."""
    csv(tmp_path / "a.csv", GOOD)
    frame = pl.read_csv(tmp_path / "a.csv").with_columns(when=pl.lit(datetime(2025, 7, 1, 12)))
    frame.write_parquet(tmp_path / "a.parquet")
    settings = config(tmp_path / "a.parquet").model_copy(update={"time_zone": "America/New_York"})
    assert {datetime(2025, 7, 1, 16)} == set(data.load(settings, Quarantine())["datetime"])


def test_an_unknown_zone_is_refused(tmp_path: Path) -> None:
    """The message has the setting and an example of a name that exists."""
    settings = config(csv(tmp_path / "a.csv", GOOD)).model_copy(update={"time_zone": "Brussels"})
    with pytest.raises(PacelineError, match=r"time_zone = 'Brussels'.*Europe/Brussels"):
        data.load(settings, Quarantine())


def test_further_columns_of_a_table_become_features(tmp_path: Path) -> None:
    """Named columns come along: numbers as they are, texts as texts, gaps as null, wrong types quarantined."""
    lines = [f"{line},{index}.25,t{index % 3}" for index, line in enumerate(GOOD)]
    lines += ["97,2025-01-02,c1,1,5.00,1,,", "98,2025-01-02,c1,1,5.00,1,old,t1"]
    settings = config(csv(tmp_path / "a.csv", lines, HEADER + ",age,kind")).model_copy(
        update={"extra_numbers": ("age",), "extra_categories": ("kind",)}
    )
    quarantine = Quarantine()
    table = data.load(settings, quarantine)
    assert {"age is no number": 1} == quarantine.state()["by_reason"]
    assert [(7.25, "t1"), (None, None)] == table.filter(pl.col("transaction_id").is_in([7, 97])).sort(
        "transaction_id"
    ).select("extra_age", "extra_kind").rows()
    with pytest.raises(PacelineError, match=r"no column 'agee'.*Did you mean 'age'.*data\.extra_numbers"):
        data.load(settings.model_copy(update={"extra_numbers": ("agee",)}), Quarantine())


def test_audit_counts_wrong_labels_of_simulated_data() -> None:
    """What the simulator knows of the truth is counted, and no other file has it."""
    table = synthetic.generate(Data(customers=1_500, terminals=1_000, days=60))
    quarantine = Quarantine()
    quarantine.count(read=table.height, kept=table.height)
    noise = data.audit(table, quarantine)["label_noise"]
    assert noise["never_reported"] == int(((table["true_fraud"] == 1) & (table["fraud"] == 0)).sum()) > 0
    assert noise["falsely_reported"] == int(((table["true_fraud"] == 0) & (table["fraud"] == 1)).sum()) > 0


def test_new_transactions_without_devices_are_as_from_a_shop() -> None:
    """Where the history has devices and the new rows none, the device is null and nothing else is lost."""
    history = synthetic.generate(Data(customers=40, terminals=25, days=21))
    both = data.append(history, history.tail(5).drop("device_id", "true_fraud", "scenario"))
    assert history.height == both.height
    assert 5 == both.tail(5)["device_id"].null_count()
    assert history.head(history.height - 5).select(both.columns).equals(both.head(history.height - 5))


def test_a_new_transaction_replaces_itself_alone_in_the_history() -> None:
    """The same id, time and amount is the same transaction; an id used again for another one takes nothing away."""
    history = synthetic.generate(Data(customers=10, terminals=10, days=21))
    same, other = history.tail(5), history.tail(12).head(7).with_columns(pl.col("amount") + 1)
    assert history.height == data.append(history, same).height
    assert history.height + 7 == data.append(history, other).height
    assert (0, 7) == (data.reused(history, same), data.reused(history, other))
    narrow = same.with_columns(pl.col("amount").cast(pl.Float32).cast(pl.Float64))  # as a file of Float32 has it
    assert (history.height, 0) == (data.append(history, narrow).height, data.reused(history, narrow))
    as_text = other.with_columns(pl.col("transaction_id").cast(pl.String))
    assert 7 == data.reused(history, as_text)


def test_one_class_in_a_column_of_labels_is_a_clear_error(tmp_path: Path) -> None:
    """A file whose labels are all 0 names the fold and its days."""
    lines = [f"{index},{datetime(2025, 1, 1) + timedelta(days=index)},c1,1,5.00,0" for index in range(80)]
    table = data.load(config(csv(tmp_path / "a.csv", lines)), Quarantine())
    with pytest.raises(PacelineError, match=r"fold 'validation'.*0 frauds: one class only"):
        PrequentialSplit(table, Data()).validation()


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_text_is_trimmed_in_every_format(tmp_path: Path, ending: str) -> None:
    """Spaces around ids and dates, or categories instead of text, give the same table in all formats."""
    rows = [line.split(",") for line in GOOD]
    spaced = pl.DataFrame([[f" {value}" for value in row] for row in rows], schema=HEADER.split(","), orient="row")
    path = tmp_path / f"t.{ending}"
    match ending:
        case "csv":
            spaced.write_csv(path)
        case "parquet":
            spaced.with_columns(pl.col("card").cast(pl.Categorical)).write_parquet(path)
        case "jsonl":
            spaced.write_ndjson(path)
    assert_frame_equal(load(csv(tmp_path / "plain.csv", GOOD))[0], load(path)[0])
