"""The commands end to end: what they print and write, their exit codes, one line for a user's mistake."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fraud_detection import cli
from fraud_detection.config import Config
from paceline import config

Call = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """A function that runs a command line in an empty folder: exit code, the JSON of the last line, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*argv: object) -> tuple[int, Any, str]:
        monkeypatch.setattr(sys, "argv", ["fraud-detection", *(str(word) for word in argv)])
        code = cli.main()
        out, err = capsys.readouterr()
        return code, json.loads(out.splitlines()[-1]) if "--json" in argv else out, err

    return run


def test_training_evaluating_and_reporting_one_after_the_other(call: Call, small: Config, tmp_path: Path) -> None:
    """Each command takes what the one before left; programs read the last line, people the rest."""
    (tmp_path / "config.toml").write_text(config.dump(small))
    code, trained, _ = call("train", "--json", "--set", "train.rounds=5", "--set", "report.resamples=0")
    assert (0, "done") == (code, trained["status"])
    assert {"run", "status", "wall_seconds", "scores"} <= set(trained)
    run = tmp_path / trained["run"]
    record = json.loads((run / "run.json").read_text())
    assert 5 == record["config"]["train"]["rounds"]
    assert record["command"].startswith("fraud-detection train --json --set train.rounds=5")
    assert record["wall_seconds"] == pytest.approx(trained["wall_seconds"], rel=0.01)

    code, evaluated, _ = call("evaluate", run, "--json")
    assert 0 == code
    expected = trained["scores"]["average_precision"]["value"]
    assert expected == evaluated["scores"]["average_precision"]["value"]

    (run / "report.html").unlink()
    code, answer, _ = call("report", run, "--json")
    assert (0, str(run / "report.html")) == (code, answer["report"])
    assert (run / "report.html").exists()
    code, answer, _ = call("report", "--json")
    assert (0, 1) == (code, answer["runs"])

    code, _, err = call("train", "--json", "--resume", run)
    assert 1 == code
    assert f"error: The run '{run.name}' is done. Start a new one, without --resume.\n" == err


def test_the_data_are_audited(call: Call, small: Config, tmp_path: Path) -> None:
    """Counts on the screen and in a sheet, as HTML and as JSON."""
    (tmp_path / "config.toml").write_text(config.dump(small))
    code, found, err = call("data", "--json", "--output", "sheets/data.html")
    assert (0, "") == (code, err)
    assert found["transactions"] == sum(found["classes"].values()) > 10_000
    assert str(Path("sheets/data.html")) == found["sheet"]
    written = json.loads((tmp_path / "sheets" / "data.json").read_text())
    assert {key: value for key, value in found.items() if key not in ("sheet", "quarantined_rows")} == written
    assert "<html" in (tmp_path / "sheets" / "data.html").read_text()


def test_predictions_are_written(call: Call, small: Config, run_folder: Path, tmp_path: Path) -> None:
    """Files of transactions go in, a file of probabilities comes out."""
    from fraud_detection import synthetic

    files = synthetic.write(tmp_path / "days", small.data)
    code, found, _ = call("predict", run_folder, files[-1], files[-2], "--output", "out/scored.jsonl", "--json")
    assert 0 == code
    assert found["read"] == found["scored"] == len((tmp_path / "out" / "scored.jsonl").read_text().splitlines())


def test_transactions_come_through_a_pipe(
    call: Call, small: Config, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` reads JSON lines from standard input and scores them as the same lines in a file."""
    from fraud_detection import synthetic

    lines = tmp_path / "day.jsonl"
    pl.read_parquet(synthetic.write(tmp_path / "days", small.data)[-1]).write_ndjson(lines)
    assert 0 == call("predict", run_folder, lines, "--output", "file.csv")[0]
    with lines.open(encoding="utf-8") as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        code, found, _ = call("predict", run_folder, "-", "--output", "pipe.csv", "--json")
    assert (0, found["scored"]) == (code, found["read"])
    assert (tmp_path / "file.csv").read_bytes() == (tmp_path / "pipe.csv").read_bytes()


@pytest.mark.parametrize(
    ("expected", "argv"),
    [
        ("There is no configuration file 'config.toml'.", ["train"]),
        ("There is no configuration file 'other.toml'.", ["data", "--config", "other.toml"]),
        (
            "[train] has no key 'epoch'. Did you mean 'epochs'?",
            ["train", "--config", "{config}", "--set", "train.epoch=3"],
        ),
        ("[train] rounds is 'many'.", ["train", "--config", "{config}", "--set", "train.rounds=many"]),
        (
            "model.booster = 'dart' re-weights earlier trees",
            ["train", "--config", "{config}", "--set", "model.booster=dart"],
        ),
        ("--set got 'rounds'.", ["data", "--config", "{config}", "--set", "rounds"]),
        (
            "data.path = 'absent.csv' does not exist.",
            ["data", "--config", "{config}", "--set", "data.source=handbook", "--set", "data.path=absent.csv"],
        ),
        ("data.path is empty.", ["train", "--config", "{config}", "--set", "data.source=table"]),
        ("'nowhere' is not a run: it has no run.json.", ["evaluate", "nowhere"]),
        ("'nowhere' is not a run: it has no run.json.", ["predict", "nowhere", "a.csv"]),
        ("'nowhere' is not a run: it has no run.json.", ["train", "--resume", "nowhere"]),
        ("'nowhere' is not a run: it has no run.json.", ["report", "nowhere"]),
        ("There is no run in 'runs'.", ["report"]),
        ("INPUT = 'absent.csv' does not exist.", ["predict", "{run}", "absent.csv"]),
        ("'x.txt' has an unknown ending.", ["predict", "{run}", "a.csv", "--output", "x.txt"]),
        ("XGBoost does not run on a TPU", ["train", "--config", "{config}", "--device", "tpu"]),
        ("data.test_start is 2031-01-01", ["train", "--config", "{config}", "--set", "data.test_start=2031-01-01"]),
    ],
)
def test_a_mistake_is_one_line(expected: str, argv: list[str], call: Call, small: Config, run_folder: Path) -> None:
    """Exit code 1, the cause first on one line, no traceback; with --json the same in an object."""
    Path("settings").mkdir()
    Path("settings/c.toml").write_text(config.dump(small))
    words = [word.format(config="settings/c.toml", run=run_folder) for word in argv]
    code, _, err = call(*words)
    assert 1 == code
    assert err.startswith(f"error: {expected}")
    assert 1 == err.count("\n")
    code, answer, _ = call(*words, "--json")
    assert (1, "failed") == (code, answer["status"])
    assert answer["error"].startswith(expected)


@pytest.mark.parametrize("argv", [[], ["fly"], ["evaluate"], ["predict", "run"], ["train", "--device", "cuda"]])
def test_wrong_arguments_exit_with_2(argv: list[str], call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    """The usage is shown."""
    with pytest.raises(SystemExit) as ended:
        call(*argv)
    assert 2 == ended.value.code
    assert "usage: fraud-detection" in capsys.readouterr().err
