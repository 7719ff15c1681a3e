"""Retraining: what is new is told from what was learned, the four ways do what they say, the comparison is fair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fraud_detection import cli, data, examples, features, retrain
from fraud_detection.config import Config
from fraud_detection.examples import Examples
from fraud_detection.splits import PrequentialSplit
from fraud_detection.train import train
from paceline import config as configuration
from paceline import record
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

SMALL: dict[str, Any] = {
    "data": {"customers": 400, "terminals": 200, "days": 90, "train_days": 14, "windows_days": [1, 7]},
    "train": {"rounds": 12, "device": "cpu", "early_stopping_rounds": 5},
    "report": {"resamples": 30},
}


def settings(**sections: dict[str, Any]) -> Config:
    """The small configuration with more keys by section."""
    values = {name: {**SMALL.get(name, {}), **sections.get(name, {})} for name in SMALL | sections}
    return configuration.check(Config, values, source="test")


@pytest.fixture(scope="module")
def earlier_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained for a test 46 days before the end of the data."""
    runs = tmp_path_factory.mktemp("runs")
    return Path(train(settings(data={"test_start": "2025-02-14"}), runs_folder=runs)["run"])


def test_comparison_is_in_the_record_and_one_way_is_taken(earlier_run: Path, tmp_path: Path) -> None:
    """Four rows, the best first, with times; the run's model is the way taken, and the report shows the chart."""
    answer = train(settings(transfer={"from_run": str(earlier_run)}), runs_folder=tmp_path)
    found = record.read(Path(answer["run"]))
    rows = found["model"]["ways"]
    assert set(retrain.WAYS) == {row["way"] for row in rows}
    values = [row["average_precision"]["value"] for row in rows]
    assert sorted(values, reverse=True) == values
    assert all(row["seconds"] > 0 for row in rows)
    assert rows[0]["way"] == found["model"]["taken"]
    assert (0.0, False) == (rows[0]["behind_the_best"]["value"], rows[0]["shown"])
    assert answer["advice"] == found["model"]["advice"]
    assert "Ways to retrain" in (Path(answer["run"]) / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("way", retrain.WAYS)
def test_each_way_builds_what_it_says(way: str, earlier_run: Path, tmp_path: Path) -> None:
    """Continue has the old trees and more, refresh as many as before, the others only their own."""
    answer = train(settings(transfer={"from_run": str(earlier_run), "way": way}), runs_folder=tmp_path)
    before, after = (record.read(folder)["model"] for folder in (earlier_run, Path(answer["run"])))
    assert "ways" not in after
    expected = {"continue": before["trees"] + after["steps"], "refresh": before["trees"]}.get(way, after["steps"])
    assert expected == after["trees"]


def test_what_the_earlier_run_learned_is_known_again(earlier_run: Path) -> None:
    """The rows of its training window, found by transaction in a new reading of the data, and left out of the new."""
    config = settings(data={"train_days": 40, "validation_days": 7}, transfer={"from_run": str(earlier_run)})
    table = data.load(config.data, Quarantine())
    X = features.compute(table, config.data)
    earlier = retrain.load(config, table, X.columns)
    assert earlier is not None
    window = record.read(earlier_run)["dataset"]["folds"]["test"]["train"]
    days = table["datetime"].dt.date().cast(pl.String)
    expected = days.is_between(*window).arg_true().to_list()
    assert expected == earlier.rows.tolist()
    fold = PrequentialSplit(table, config.data).validation()
    train_on, _ = examples.divide(table, X, fold)
    new = retrain.without_seen(earlier, fold, train_on)
    assert len(train_on.y) - len(set(expected) & set(fold.train.tolist())) == len(new.y) < len(train_on.y)
    assert not new.days.cast(pl.String).is_between(*window).any()


def test_a_fold_that_the_run_has_learned_from_is_refused(earlier_run: Path, tmp_path: Path) -> None:
    """A run judged by its own training rows would win: it is refused with the number of rows."""
    config = settings(data={"test_start": "2025-02-18"}, transfer={"from_run": str(earlier_run)})
    with pytest.raises(PacelineError, match=r"has learned from [\d,]+ of the transactions that the fold 'validation'"):
        train(config, runs_folder=tmp_path)


def test_nothing_new_is_refused(earlier_run: Path, tmp_path: Path) -> None:
    """Without new rows there is nothing to continue with."""
    config = settings(
        data={"test_start": "2025-02-19", "validation_days": 2, "train_days": 7},
        transfer={"from_run": str(earlier_run)},
    )
    with pytest.raises(PacelineError, match="are new to the run"):
        train(config, runs_folder=tmp_path)


def test_another_portfolio_shares_no_transaction(earlier_run: Path) -> None:
    """Ids begin at 0 in both portfolios; that does not make their transactions the same."""
    config = settings(data={"portfolio": "B"}, transfer={"from_run": str(earlier_run)})
    table = data.load(config.data, Quarantine())
    earlier = retrain.load(config, table, features.names(config.data))
    assert earlier is not None
    assert 0 == len(earlier.rows)


def test_a_run_of_other_features_is_refused(earlier_run: Path, tmp_path: Path) -> None:
    """Trees divide by the place of a feature: other windows would be read as the old ones."""
    config = settings(data={"windows_days": [1, 7, 30]}, transfer={"from_run": str(earlier_run)})
    with pytest.raises(PacelineError, match="on 16 features; this one is an xgboost on 21"):
        train(config, runs_folder=tmp_path)


@pytest.mark.parametrize("section", [{"name": "mlp"}, {"booster": "dart"}])
def test_only_plain_trees_go_on(section: dict[str, str]) -> None:
    """The configuration says so before anything is read."""
    with pytest.raises(PacelineError, match="wants boosted trees without dropout"):
        settings(model=section, transfer={"from_run": "runs/x"}, train={"early_stopping_rounds": 0})


def evaluated(rows: int = 4000) -> Examples:
    """Transactions of customers with a payment each."""
    rng = np.random.default_rng(0)
    y = (rng.random(rows) < 0.05).astype(np.int8)
    return Examples(np.zeros((rows, 1), np.float32), y, np.ones(rows), pl.Series([0] * rows), np.arange(rows))


def test_comparison_shows_a_difference_only_where_there_is_one() -> None:
    """Against noise the better score is shown to be better; against nearly itself it is not."""
    judged, rng = evaluated(), np.random.default_rng(1)
    good = judged.y + rng.normal(0, 0.4, len(judged.y))
    scores = {"scratch": rng.normal(size=len(good)), "pooled": good, "continue": good + rng.normal(0, 0.01, len(good))}
    seconds = {"scratch": 2.0, "pooled": 5.0, "continue": None}
    rows = retrain.compare(judged, scores, seconds, resamples=200, seed=0)
    assert {"scratch": 3.0, "pooled": 0.0, "continue": None} == {row["way"]: row["seconds_saved"] for row in rows}
    shown = {row["way"]: row["shown"] for row in rows}
    assert {"pooled": False, "continue": False, "scratch": True} == shown
    behind = rows[-1]["behind_the_best"]
    assert (
        pytest.approx(rows[0]["average_precision"]["value"] - rows[-1]["average_precision"]["value"]) == behind["value"]
    )
    assert behind["low"] < behind["value"] < behind["high"]


def test_the_argument_from_is_the_configuration_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder with a quotation mark and a backslash in its name arrives as it is."""
    seen: list[Config] = []

    def note(config: Config, **_: Any) -> dict[str, Any]:
        seen.append(config)
        return {}

    monkeypatch.setattr("fraud_detection.train.train", note)
    folder = 'runs/a "b" \\c'
    config_file = tmp_path / "config.toml"
    config_file.write_text(configuration.dump(Config()), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["fraud-detection", "train", "--config", str(config_file), "--from", folder])
    assert 0 == cli.main()
    assert folder == seen[0].transfer.from_run


def test_advice_without_times_has_none() -> None:
    """After a resume the time of an earlier session's way is unknown; no figure is made up."""
    rows = [{"way": "pooled", "shown": False, "seconds": None}, {"way": "scratch", "shown": False, "seconds": 2.0}]
    assert "Take pooled. No difference shown to scratch." == retrain.advice(rows)


def test_advice_says_what_time_the_way_saves() -> None:
    """Against training on old and new together; where it takes longer nothing is saved, and nothing said."""
    rows = [
        {"way": "continue", "shown": False, "seconds": 2.0, "seconds_saved": 7.04},
        {"way": "pooled", "shown": True, "seconds": 9.04, "seconds_saved": 0.0},
    ]
    expected = "Take continue. It is better than pooled. It saves 7.0 s against pooled."
    assert expected == retrain.advice(rows)
    assert "saves" not in retrain.advice([rows[0] | {"seconds_saved": -1.0}, rows[1]])


def test_history_is_of_the_way_taken(earlier_run: Path, tmp_path: Path) -> None:
    """The learning curve in the report is not that of a way that was dropped."""
    answer = train(settings(transfer={"from_run": str(earlier_run)}), runs_folder=tmp_path)
    found = record.read(Path(answer["run"]))
    stage = found["history"].get("stage", "select-refresh")  # refreshing has no rounds
    assert f"select-{found['model']['taken']}" == stage
