"""Published formats: small files in exactly their layout are read, checked and trained on."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import paceline.config
from fraud_detection import boosted, data, examples, extras, features, formats, monitor, predict
from fraud_detection.config import Config
from fraud_detection.splits import PrequentialSplit
from fraud_detection.train import train
from paceline import device, record
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

CONFIGS = Path(__file__).parent.parent / "configs"
Row = dict[str, Any]


def write(path: Path, rows: list[Row]) -> Path:
    """Write rows as CSV, missing values empty, as the data sets do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def draws(rows: int) -> tuple[np.random.Generator, np.ndarray[Any, Any]]:
    """Return a source of chance and labels with one fraud in twelve."""
    rng = np.random.default_rng(5)
    return rng, (rng.random(rows) < 1 / 12).astype(int)


def ulb(folder: Path) -> Path:
    """Write `creditcard.csv`: seconds over two days, V1 to V28, Amount, a Class in quotes."""
    rng, fraud = draws(1_500)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "creditcard.csv"
    lines = [",".join(f'"{name}"' for name in ["Time", *(f"V{n}" for n in range(1, 29)), "Amount", "Class"])]
    for second, label in zip(np.sort(rng.integers(0, 172_793, 1_500)), fraud, strict=True):
        parts = [str(second), *(f"{value:.12g}" for value in rng.normal(-2.0 * label, 1, 28))]
        lines.append(",".join([*parts, f"{rng.uniform(0, 300):.2f}", f'"{label}"']))
    path.write_text("\n".join(lines) + "\n")
    return path


def ieee_cis(folder: Path, name: str = "train", rows: int = 1_500, hyphen: str = "_") -> Path:
    """Write the two tables with all 394 and 41 columns; a third has an identity, many values are missing."""
    rng, fraud = draws(rows)
    transactions, identities = [], []
    for index, second in enumerate(np.sort(rng.integers(86_400, 15_811_131, rows))):
        client = int(rng.integers(0, 60))
        label = {"isFraud": fraud[index]} if name == "train" else {}
        gaps = {column: "" if rng.random() < 0.3 else 1.0 for column in ("dist1", "dist2")}
        transactions.append(
            {"TransactionID": 2_987_000 + index + (name != "train") * 10**6, **label, "TransactionDT": second}
            | {"TransactionAmt": round(float(rng.uniform(1, 200)), 3), "ProductCD": rng.choice(list("WCRHS"))}
            | {"card1": 1_000 + client, "card2": "" if index % 9 == 0 else 321.0, "card3": 150.0, "card4": "visa"}
            | {"card5": 226.0, "card6": rng.choice(["debit", "credit"])}
            | {"addr1": "" if client % 5 == 0 else 299.0 + client, "addr2": 87.0, **gaps}
            | {"P_emaildomain": rng.choice(["gmail.com", ""]), "R_emaildomain": ""}
            | {f"C{n}": float(rng.integers(0, 5)) + 3 * fraud[index] for n in range(1, 15)}
            | {"D1": float(int(second) // 86_400 + client)} | {f"D{n}": "" for n in range(2, 16)}
            | {f"M{n}": ("T", "F", "")[n % 3] if n != 4 else "M0" for n in range(1, 10)}
            | {f"V{n}": "" if n % 4 == 0 else float(rng.integers(0, 3)) for n in range(1, 340)}
        )  # fmt: skip
        if index % 3 == 0:
            numbers = {f"id{hyphen}{n:02}": "" for n in range(1, 39)}
            numbers[f"id{hyphen}01"], numbers[f"id{hyphen}31"] = "-5.0", "chrome 63.0"
            key = {"TransactionID": transactions[-1]["TransactionID"]}
            identities.append({**key, **numbers, "DeviceType": "mobile", "DeviceInfo": "iOS Device"})
    write(folder / f"{name}_identity.csv", identities)
    write(folder / f"{name}_transaction.csv", transactions)
    return folder


def paysim(folder: Path) -> Path:
    """Write the log of a month in hours."""
    rng, fraud = draws(1_500)
    rows = [
        {"step": step, "type": "TRANSFER" if label else rng.choice(["PAYMENT", "CASH_OUT", "CASH_IN", "DEBIT"])}
        | {"amount": round(float(rng.lognormal(9 + label, 1)), 2), "nameOrig": f"C{1_231_006_815 + index}"}
        | {"oldbalanceOrg": 170136.0, "newbalanceOrig": 160296.36, "nameDest": f"M{rng.integers(0, 50)}"}
        | {"oldbalanceDest": 0.0, "newbalanceDest": 0.0, "isFraud": label, "isFlaggedFraud": 0}
        for index, (step, label) in enumerate(zip(np.sort(rng.integers(1, 744, 1_500)), fraud, strict=True))
    ]  # fmt: skip
    return write(folder / "PS_log.csv", rows)


def sparkov(folder: Path) -> Path:
    """Write `fraudTrain.csv` and `fraudTest.csv`, with the row number in a column without a name."""
    rng, fraud = draws(2_000)
    start = datetime(2019, 1, 1)
    rows = []
    for index, label in enumerate(fraud):
        rows.append(
            {"": index, "trans_date_trans_time": start + timedelta(minutes=index * 525)}
            | {"cc_num": 2_703_186_189_652_095 + int(rng.integers(0, 900)), "merchant": "fraud_Rippin, Kub and Mann"}
            | {"category": rng.choice(["misc_net", "grocery_pos"])}
            | {"amt": round(float(rng.lognormal(3 + 2 * label, 1)), 2), "first": "Jennifer", "last": "Banks"}
            | {"gender": "F", "street": "561 Perry Cove", "city": "Moravian Falls", "state": "NC", "zip": 28654}
            | {"lat": 36.0788, "long": -81.1781, "city_pop": 3495, "job": "Psychologist, counselling"}
            | {"dob": "1988-03-09", "trans_num": f"{index:032x}", "unix_time": 1_325_376_018 + index}
            | {"merch_lat": 36.011293, "merch_long": -82.048315, "is_fraud": label}
        )  # fmt: skip
    write(folder / "fraudTest.csv", rows[1_200:])
    write(folder / "fraudTrain.csv", rows[:1_200])
    return folder


def baf(folder: Path) -> Path:
    """Write `Base.csv` with its 32 columns, months 0 to 7."""
    rng, fraud = draws(1_600)
    rows = [
        {"fraud_bool": label, "income": 0.9, "name_email_similarity": rng.random(), "prev_address_months_count": -1}
        | {"current_address_months_count": 88, "customer_age": 50, "days_since_request": 0.020925}
        | {"intended_balcon_amount": -1.331345, "payment_type": rng.choice(["AA", "AB", "AC"]), "zip_count_4w": 769}
        | {"velocity_6h": 10650.765523, "velocity_24h": 3134.319630, "velocity_4w": 3863.647740}
        | {"bank_branch_count_8w": 1, "date_of_birth_distinct_emails_4w": 6, "employment_status": "CA"}
        | {"credit_risk_score": 100 + 80 * label + int(rng.integers(0, 100)), "email_is_free": 0}
        | {"housing_status": "BA", "phone_home_valid": 1, "phone_mobile_valid": 0, "bank_months_count": 24}
        | {"has_other_cards": 0, "proposed_credit_limit": 500.0, "foreign_request": 0, "source": "INTERNET"}
        | {"session_length_in_minutes": 3.888115, "device_os": "windows", "keep_alive_session": 0}
        | {"device_distinct_emails_8w": 1, "device_fraud_count": 0, "month": index // 200}
        for index, label in enumerate(fraud)
    ]  # fmt: skip
    return write(folder / "Base.csv", rows)


FORMATS: dict[str, Callable[[Path], Path]] = {
    "ulb": ulb, "ieee-cis": ieee_cis, "paysim": paysim, "sparkov": sparkov, "baf": baf,
}  # fmt: skip
ROWS = {"ulb": 1_500, "ieee-cis": 1_500, "paysim": 1_500, "sparkov": 2_000, "baf": 1_600}


def config(source: str, path: Path, *overrides: str) -> Config:
    """Return the format's own configuration with this path."""
    return paceline.config.load(Config, CONFIGS / f"{source}.toml", [f"data.path={path}", *overrides])


def load(source: str, path: Path, *overrides: str) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return the table and what the quarantine says."""
    quarantine = Quarantine()
    return data.load(config(source, path, *overrides).data, quarantine), quarantine.state()


def names(source: str, path: Path) -> list[str]:
    """Return the features: those over windows and those that the format brings."""
    table, _ = load(source, path)
    return features.compute(table, config(source, path).data).columns + [
        name for name in table.columns if name.startswith("extra_")
    ]


@pytest.mark.parametrize("source", FORMATS)
def test_a_format_trains_end_to_end_with_its_configuration(tmp_path: Path, source: str) -> None:
    """From the published files to a scored run: every row kept, both folds with frauds, better than chance."""
    path = FORMATS[source](tmp_path / "data")
    settings = config(source, path, "train.rounds=8", "train.early_stopping_rounds=0", "report.resamples=0")
    result = train(settings, runs_folder=tmp_path / "runs")
    assert "done" == result["status"]
    assert 0.2 < result["scores"]["average_precision"]["value"]
    run = Path(result["run"])
    dataset = record.read(run)["dataset"]
    assert (ROWS[source], {}) == (dataset["transactions"], dataset["quarantine"]["by_reason"])
    again = predict.evaluate(run)
    assert result["scores"]["average_precision"]["value"] == pytest.approx(
        again["scores"]["average_precision"]["value"]
    )


@pytest.mark.parametrize("name", [pytest.param("mlp", marks=pytest.mark.slow), "logistic_regression"])
def test_other_models_take_negative_and_missing_numbers(tmp_path: Path, name: str) -> None:
    """The network and the linear model learn from principal components and from columns with gaps."""
    settings = ("train.epochs=8", "train.batch_size=64", "report.resamples=0", f"model.name={name}", "train.device=cpu")
    path = ulb(tmp_path)
    result = train(config("ulb", path, *settings), runs_folder=tmp_path / "runs")
    assert 0.5 < result["scores"]["average_precision"]["value"]


def test_windows_of_parts_of_a_day_are_monitored_as_they_were_trained(tmp_path: Path) -> None:
    """ULB's two days are divided by hours: the training of `monitor` is the run's, and no row is on both sides."""
    settings = config("ulb", ulb(tmp_path), "model.name=logistic_regression", "report.resamples=0")
    run = Path(train(settings, runs_folder=tmp_path / "runs")["run"])
    fold = record.read(run)["dataset"]["folds"]["test"]
    found = monitor.monitor(run, tmp_path / "monitor.html")["transactions"]
    assert {"training": fold["train_transactions"], "later": fold["test_transactions"]} == found


def test_ulb_has_no_risk_to_constrain(tmp_path: Path) -> None:
    """Its components stand where other data have the risk of terminals; none of them is held to rise."""
    settings = config("ulb", ulb(tmp_path), "model.monotone=true")
    table = data.load(settings.data, Quarantine())
    fold = PrequentialSplit(table, settings.data).final()
    encoded = extras.learn(table, fold.train).extend(features.compute(table, settings.data), table)
    train_on, _ = examples.divide(table, encoded, fold)
    parameters = boosted.parameters(settings, device.cpu_only("cpu", ""), train_on.names)
    assert f"({','.join('0' * train_on.X.shape[1])})" == parameters["monotone_constraints"]


def test_ulb_has_components_and_no_parties(tmp_path: Path) -> None:
    """The features are the amount and V1 to V28; times count from the start date; ids are row numbers."""
    path = ulb(tmp_path)
    table, _ = load("ulb", path)
    assert ["amount", *(f"extra_V{n}" for n in range(1, 29))] == names("ulb", path)
    assert {"customer_id", "terminal_id"}.isdisjoint(table.columns)
    assert (2, 1_501) == (table["transaction_id"].min(), table["transaction_id"].max())
    assert datetime(2025, 1, 1) <= table["datetime"][0] <= table["datetime"][-1] < datetime(2025, 1, 3)
    expected = pl.read_csv(path)["V7"].cast(pl.Float32)
    assert expected.equals(table.sort("transaction_id")["extra_V7"].alias("V7"))


def test_ieee_client_serves_the_windows_and_is_no_feature(tmp_path: Path) -> None:
    """Card, address and start of the account give 60 clients; none of them, nor an id, is among the features."""
    path = ieee_cis(tmp_path)
    table, _ = load("ieee-cis", path)
    assert 60 == table["customer_id"].n_unique()
    made = names("ieee-cis", path)
    assert {"customer_count_7d", "extra_C1", "extra_V339", "extra_id_38", "extra_DeviceInfo"} <= set(made)
    assert set() == set(made) & {"customer_id", "extra_card1", "extra_addr1", "extra_TransactionID", "terminal_risk_7d"}
    assert 500 == table["extra_DeviceType"].count() == table["extra_id_01"].count()
    assert pl.Float32 == table["extra_V1"].dtype == table["extra_id_01"].dtype
    assert pl.String == table["extra_M4"].dtype == table["extra_id_31"].dtype
    first = pl.read_csv(path / "train_transaction.csv")["TransactionDT"][0]
    assert datetime(2017, 11, 30) + timedelta(seconds=first) == table["datetime"][0]


def test_ieee_test_files_are_scored_though_they_spell_the_identity_otherwise(tmp_path: Path) -> None:
    """`test_transaction.csv` has no label and `test_identity.csv` has `id-01`: both are read."""
    path = ieee_cis(tmp_path)
    ieee_cis(tmp_path, "test", 90, hyphen="-")
    settings = config("ieee-cis", path, "model.name=logistic_regression", "report.resamples=0")
    run = Path(train(settings, runs_folder=tmp_path / "runs")["run"])
    result = predict.predict(run, [tmp_path], tmp_path / "scored.csv")
    assert (90, 0) == (result["scored"], result["quarantined"])
    new = data.load_unlabelled([tmp_path / "test_transaction.csv"], settings.data, Quarantine())
    assert {-5.0, None} == set(new["extra_id_01"])
    (tmp_path / "train_identity.csv").unlink()
    assert 0 == load("ieee-cis", path)[0]["extra_DeviceType"].count()


def test_paysim_leaves_out_what_gives_the_answer_away(tmp_path: Path) -> None:
    """Balances and the rule's flag are no features; an hour is an hour; new rows do not replace old ones."""
    path = paysim(tmp_path)
    table, _ = load("paysim", path)
    assert ["extra_type"] == [name for name in table.columns if name.startswith("extra_")]
    last = pl.read_csv(path)["step"][-1]
    assert datetime(2025, 1, 1) + timedelta(hours=last - 1) == table["datetime"][-1]
    new = data.load_unlabelled([path], config("paysim", path).data, Quarantine())
    assert 2 * table.height == data.append(table, new).height


def test_sparkov_folder_is_one_table_with_the_way_to_the_merchant(tmp_path: Path) -> None:
    """Both files are read; the distance is the great circle's; what describes the person is no feature."""
    table, _ = load("sparkov", sparkov(tmp_path))
    extra = [name for name in table.columns if name.startswith("extra_")]
    assert {"extra_category", "extra_city_pop", "extra_distance_km"} == set(extra)
    # One degree of longitude at 36 degrees north is 90 km.
    assert table["extra_distance_km"].to_list() == pytest.approx([78.6] * 2_000, abs=0.2)
    assert {"fraud_Rippin, Kub and Mann"} == set(table["terminal_id"])


def test_baf_is_split_by_month(tmp_path: Path) -> None:
    """Months 4 and 5 choose, 2 to 5 train, 6 and 7 test; weekday and night mean nothing there."""
    path = baf(tmp_path)
    settings = config("baf", path, "model.name=logistic_regression", "report.resamples=0")
    result = train(settings, runs_folder=tmp_path / "runs")
    folds = record.read(Path(result["run"]))["dataset"]["folds"]
    assert (800, 400) == (folds["test"]["train_transactions"], folds["test"]["test_transactions"])
    assert (800, 400) == (folds["validation"]["train_transactions"], folds["validation"]["test_transactions"])
    months = record.read(Path(result["run"]))["dataset"]["performance_by_period"]
    assert [(30, 200), (30, 200)] == [(month["days"], month["transactions"]) for month in months]
    assert set() == set(names("baf", path)) & {"during_night", "during_weekend", "extra_customer_age"}
    with pytest.raises(PacelineError, match=r"data\.test_days is 14.*multiple of 30"):
        load("baf", path, "data.test_days=14")


@pytest.mark.parametrize(
    ("source", "column", "bad", "reason"),
    [
        ("ulb", "Time", "noon", "datetime is no number of seconds"),
        ("ulb", "V3", "high", "V3 is no number"),
        ("ulb", "V3", "inf", "V3 is no number"),
        ("ulb", "Class", "2", "fraud is not 0 or 1"),
        ("ieee-cis", "C2", "many", "C2 is no number"),
        ("ieee-cis", "TransactionID", "2987003", "transaction_id is repeated"),
        ("ieee-cis", "TransactionDT", "", "datetime is no number of seconds"),
        ("paysim", "step", "one", "datetime is no number of hours"),
        ("paysim", "nameOrig", "", "customer_id is missing"),
        ("paysim", "amount", "-1", "amount is negative"),
        ("sparkov", "trans_num", f"{3:032x}", "transaction_id is repeated"),
        ("sparkov", "trans_date_trans_time", "2019-13-01 00:00:00", "datetime is no ISO 8601 date and time"),
        ("sparkov", "city_pop", "few", "city_pop is no number"),
        ("baf", "month", "May", "datetime is no number of a month"),
        ("baf", "credit_risk_score", "good", "credit_risk_score is no number"),
        ("baf", "fraud_bool", "yes", "fraud is not 0 or 1"),
    ],
)
def test_a_bad_value_costs_its_row(tmp_path: Path, source: str, column: str, bad: str, reason: str) -> None:
    """In every format a wrong type, a repeated id or a missing one is quarantined by its reason; the rest is kept."""
    path = FORMATS[source](tmp_path)
    file = {"ieee-cis": tmp_path / "train_transaction.csv", "sparkov": tmp_path / "fraudTrain.csv"}.get(source, path)
    frame = pl.read_csv(file, infer_schema=False)
    row = pl.int_range(pl.len()) == 100
    frame.with_columns(pl.when(row).then(pl.lit(bad)).otherwise(column).alias(column)).write_csv(file)
    table, state = load(source, path)
    assert {reason: 1} == state["by_reason"]
    assert ROWS[source] - 1 == table.height


@pytest.mark.parametrize(
    ("source", "column", "wrong"),
    [
        ("ulb", "V14", "V_14"),
        ("ieee-cis", "TransactionAmt", "TransactionAmount"),
        ("paysim", "nameDest", "name_dest"),
        ("sparkov", "merch_lat", "merchant_lat"),
        ("baf", "housing_status", "house_status"),
    ],
)
def test_a_missing_column_is_refused_with_the_nearest_name(
    tmp_path: Path, source: str, column: str, wrong: str
) -> None:
    """The message has the file, the column and the nearest one there is."""
    path = FORMATS[source](tmp_path)
    file = {"ieee-cis": tmp_path / "train_transaction.csv", "sparkov": tmp_path / "fraudTest.csv"}.get(source, path)
    pl.read_csv(file, infer_schema=False).rename({column: wrong}).write_csv(file)
    with pytest.raises(PacelineError, match=rf"{file.name}' has no column '{column}'.*Did you mean '{wrong}'"):
        load(source, path)


def test_repeated_identities_are_quarantined(tmp_path: Path) -> None:
    """The first identity of a transaction counts; another one is listed, and the counts add up."""
    path = ieee_cis(tmp_path)
    file = tmp_path / "train_identity.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines, lines[1]]) + "\n")
    table, state = load("ieee-cis", path)
    assert ROWS["ieee-cis"] == table.height
    assert {"identity's TransactionID is missing or repeated": 1} == state["by_reason"]


def test_one_file_formats_refuse_a_folder_of_several(tmp_path: Path) -> None:
    """Rows are numbered within a file, so two of them would share their ids."""
    baf(tmp_path)
    (tmp_path / "Variant I.csv").write_bytes((tmp_path / "Base.csv").read_bytes())
    with pytest.raises(PacelineError, match=r"holds 2 files, and baf is one"):
        load("baf", tmp_path)


def test_ieee_folder_without_transactions_is_refused(tmp_path: Path) -> None:
    """The file that is looked for is named."""
    write(tmp_path / "transactions.csv", [{"TransactionID": 1}])
    with pytest.raises(PacelineError, match=r"no train_transaction\.csv"):
        load("ieee-cis", tmp_path)


def test_parquet_files_of_a_format_are_read_alike(tmp_path: Path) -> None:
    """Typed columns give the same table as text."""
    path = ulb(tmp_path)
    expected, _ = load("ulb", path)
    pl.read_csv(path).write_parquet(tmp_path / "creditcard.parquet")
    made, _ = load("ulb", tmp_path / "creditcard.parquet")
    assert expected.drop("transaction_id").equals(made.drop("transaction_id"))


@pytest.mark.parametrize("source", FORMATS)
def test_windows_run_where_a_format_names_a_party(tmp_path: Path, source: str) -> None:
    """What `has_parties` says of a source is what its table holds."""
    settings = config(source, FORMATS[source](tmp_path))
    table = data.load(settings.data, Quarantine())
    assert formats.has_parties(source) == bool({"customer_id", "terminal_id"} & set(table.columns))


@pytest.mark.parametrize("source", FORMATS)
def test_only_formats_have_a_layout(source: str) -> None:
    """Every published source has one, whose extra columns are declared either numbers or texts."""
    layout = formats.of(source)
    assert layout is not None
    declared = {*layout.numbers, *layout.categories}
    assert {name for name in (*layout.columns, *layout.optional) if name.startswith("extra_")} <= declared
    assert set() == set(layout.numbers) & set(layout.categories)
    assert formats.of("table") is None
