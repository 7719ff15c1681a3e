"""The run record: phases that sum to the wall time, a status whatever happens, sessions that add up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from paceline import config, record
from paceline.config import Section
from paceline.errors import PacelineError, Stopped
from paceline.record import Run

KEYS = [
    *("schema_version", "status", "started_at", "wall_seconds", "command", "seed", "config", "device", "hardware"),
    *("software", "dataset", "model", "phases", "predictions", "history", "scores", "warnings"),
]


class Train(Section):
    """What a record looks for in a configuration."""

    seed: int = 3


class Tune(Section):
    """Where secrets are likely to stand."""

    storage: str = "postgresql://me:pw@host/db"
    api_key: str = "s3cr3t"


class Project(Section):
    """A configuration."""

    train: Train = Train()
    tune: Tune = Tune()


class Data(Section):
    """A path that may name a person."""

    path: str = Field("", json_schema_extra=config.PRIVATE)


class Images(Project):
    """A configuration with one."""

    data: Data = Data()


def on_disk(folder: Path) -> dict[str, Any]:
    """Return what a reader finds, without the library's help."""
    found: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return found


def end(runs: Path, ending: BaseException | None, resume: Path | None = None, *, steps: int = 0) -> Path:
    """Go through a run that ends by `ending` after some steps, and return its folder."""
    with record.start(Project(), runs, name="trial", resume=resume) as run:
        folder = run.folder
        with run.phase("train"):
            for step in range(steps):
                run.log({"step": step + 1})
        if ending is not None:
            raise ending
    return folder


def ended(runs: Path, ending: BaseException, *, steps: int = 0) -> Path:
    """Like `end`, where the ending is an exception that has to come through."""
    with pytest.raises(type(ending)) as raised:
        end(runs, ending, steps=steps)
    assert raised.value is ending
    (folder,) = runs.iterdir()
    return folder


def test_a_run_that_lasts_is_found_as_running(tmp_path: Path) -> None:
    """A killed run leaves a record, its configuration and the word `running`."""
    with record.start(Project(), tmp_path, name="trial", command="project train") as run:
        found = on_disk(run.folder)
        assert ("running", "project train", 3) == (found["status"], found["command"], found["seed"])
        assert Project() == config.load(Project, run.folder / "config.toml")


def test_a_run_that_ends_is_done_and_complete(tmp_path: Path) -> None:
    """The folder holds the record with all its keys, the configuration and a report."""
    folder = end(tmp_path, None)
    found = record.read(folder)
    assert [] == [key for key in KEYS if key not in found]
    assert ("done", "", folder.name) == (found["status"], found["error"], found["run"])
    assert {"config.toml", "run.json", "report.html"} == {path.name for path in folder.iterdir()}
    assert folder.name.endswith("-trial")


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        ("failed", PacelineError("No data.", "Bring some.")),
        ("failed", ZeroDivisionError("division by zero")),
        ("failed", SystemExit(3)),
        ("stopped", Stopped("SIGTERM ended it after 30 rounds.", resumable=True)),
        ("stopped", KeyboardInterrupt()),
    ],
)
def test_a_run_that_breaks_off_says_how(status: str, ending: BaseException, tmp_path: Path) -> None:
    """The record is closed, with the reason, the time and a report, and the exception goes on its way."""
    folder = ended(tmp_path, ending, steps=1)
    found = on_disk(folder)
    assert (status, str(ending) or type(ending).__name__) == (found["status"], found["error"])
    assert "train" in found["phases"]
    assert (folder / "report.html").stat().st_size > 0


@pytest.mark.parametrize("ending", [PacelineError("No data.", "Bring some."), KeyboardInterrupt()])
def test_a_run_that_comes_to_nothing_leaves_no_folder(ending: BaseException, tmp_path: Path) -> None:
    """A mistake found before the first step is told once, on the screen; the index of runs is not littered with it."""
    with pytest.raises(type(ending)):
        end(tmp_path, ending)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_outside_of_training_stops_the_run_with_what_was_saved(number: signal.Signals, tmp_path: Path) -> None:
    """Whether it builds, scores or waits: the record says so, and it can be resumed."""

    def scored() -> None:
        with record.start(Project(), tmp_path, name="trial") as run:
            run.log({"step": 1})
            with run.phase("score"):
                os.kill(os.getpid(), number)
                time.sleep(30)  # not slept: the signal interrupts it

    with pytest.raises(Stopped) as stopped:
        scored()
    (folder,) = tmp_path.iterdir()
    found = on_disk(folder)
    assert ("stopped", f"{number.name} ended it.") == (found["status"], found["error"])
    assert (True, folder) == (stopped.value.resumable, stopped.value.folder)
    assert (folder / "report.html").exists()


def test_a_signal_before_anything_was_trained_leaves_nothing(tmp_path: Path) -> None:
    """No folder, and no promise of a way to go on."""

    def read() -> None:
        with record.start(Project(), tmp_path, name="trial"):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)

    with pytest.raises(Stopped) as stopped:
        read()
    assert "SIGTERM ended it before training began; there was nothing to save." == stopped.value.reason
    assert (False, None) == (stopped.value.resumable, stopped.value.folder)
    assert [] == list(tmp_path.iterdir())


def test_a_signal_while_the_run_is_closed_comes_too_late(tmp_path: Path) -> None:
    """The run is done; its last files are written."""
    with record.start(Project(), tmp_path, name="trial") as run:
        run.pages["CARD.md"] = lambda known: os.kill(os.getpid(), signal.SIGTERM) or "card"
    assert "done" == on_disk(run.folder)["status"]
    assert "card" == (run.folder / "CARD.md").read_text()


def test_a_run_that_does_not_react_to_a_signal_is_recorded_as_stopped(tmp_path: Path) -> None:
    """From another thread, as the process is ended; one that is done stays done."""
    with record.start(Project(), tmp_path, name="trial") as run:
        run.record_overdue()
        assert "stopped" == on_disk(run.folder)["status"]
    run.record_overdue()
    assert "done" == on_disk(run.folder)["status"]


def test_a_run_that_quarantined_something_keeps_its_list(tmp_path: Path) -> None:
    """The error names the list, so it has to be there."""

    def refused() -> None:
        with record.start(Project(), tmp_path, name="trial") as run:
            (run.folder / "quarantine.jsonl").write_text("{}\n")
            raise PacelineError("Too many bad rows.", "Mend them.")

    with pytest.raises(PacelineError):
        refused()
    (folder,) = tmp_path.iterdir()
    assert "failed" == on_disk(folder)["status"]


def test_a_resumed_run_that_fails_at_once_is_kept(tmp_path: Path) -> None:
    """It was there before: what an earlier session has trained is not thrown away."""
    folder = ended(tmp_path, Stopped("SIGTERM", resumable=True))
    with pytest.raises(PacelineError):
        end(tmp_path, PacelineError("No data.", "Bring some."), resume=folder)
    assert folder.exists()


def test_a_stop_knows_its_run(tmp_path: Path) -> None:
    """So that the command to go on with can be shown whole."""
    stop = Stopped("SIGTERM", resumable=True)
    assert ended(tmp_path, stop) == stop.folder


def test_a_page_of_a_done_run_knows_how_it_ended(tmp_path: Path) -> None:
    """A page is made of the closed record: it is done, and its time is known."""
    with record.start(Project(), tmp_path, name="trial") as run:
        run.pages["CARD.md"] = lambda known: f"{known['status']} in {known['wall_seconds']}"
        assert not (run.folder / "CARD.md").exists()
    status, _, seconds = (run.folder / "CARD.md").read_text(encoding="utf-8").partition(" in ")
    assert "done" == status
    assert 0 < float(seconds) <= on_disk(run.folder)["wall_seconds"]


def test_a_run_that_fails_has_no_pages(open_run: Callable[[], Run]) -> None:
    """What describes a finished model is not written of a run that made none."""
    run = open_run()
    run.status = "failed"
    run.pages["CARD.md"] = lambda known: "never"
    run.close()
    assert not (run.folder / "CARD.md").exists()


def test_phases_sum_to_the_wall_time(tmp_path: Path) -> None:
    """Disjoint by construction, and the last thing saved is inside: to rounding, not to a percent."""
    with record.start(Project(), tmp_path, name="trial") as run:
        with run.phase("data"), run.phase("data/read"):
            time.sleep(0.01)
        with run.phase("score"):
            time.sleep(0.01)
    found = on_disk(run.folder)
    assert found["wall_seconds"] == pytest.approx(sum(found["phases"].values()), rel=1e-12)
    assert found["wall_seconds"] == pytest.approx(sum(found["spans"].values()), rel=1e-12)
    assert {"import", "data", "score", "finalise", "other"} == set(found["phases"])
    assert found["phases"]["data"] >= 0.01
    assert found["phases"]["data"] == pytest.approx(found["spans"]["data"] + found["spans"]["data/read"], rel=1e-12)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares the performance counter between processes")
def test_the_wall_time_is_what_was_measured_from_outside(tmp_path: Path, process_environment: dict[str, str]) -> None:
    """From the start of the process to the last file saved, to 1 % and 50 ms; only the interpreter's end is left out.

    The outside reads the counter before the process is there; the process prints its reading as its last act.
    """
    code = """if True:
        import sys, time
        from pathlib import Path
        import numpy
        from paceline import clock, record
        from paceline.config import Section
        with record.start(Section(), Path(sys.argv[1]), name="t", started=clock.process_start()) as run:
            with run.phase("train"):
                time.sleep(0.4)
        print(time.perf_counter())
    """
    before = time.perf_counter()
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        check=True, capture_output=True, text=True, env=process_environment,
    )  # fmt: skip
    outside = float(answer.stdout) - before
    (folder,) = tmp_path.iterdir()
    found = on_disk(folder)
    assert outside == pytest.approx(found["wall_seconds"], rel=0.01, abs=0.05)
    assert outside == pytest.approx(sum(found["phases"].values()), rel=0.01, abs=0.05)
    assert found["phases"]["train"] == pytest.approx(0.4, abs=0.1)
    assert found["phases"]["import"] > 0.05, "imports before the record was opened are in it"


def test_resuming_keeps_the_sessions_before(tmp_path: Path) -> None:
    """Each session's status, time and phases stay readable; the record itself is that of the last."""
    folder = ended(tmp_path, Stopped("SIGTERM", resumable=True))
    first = on_disk(folder)
    with pytest.raises(ZeroDivisionError):
        end(tmp_path, ZeroDivisionError(), resume=folder)
    assert folder == end(tmp_path, None, resume=folder)
    found = on_disk(folder)
    assert ["stopped", "failed"] == [session["status"] for session in found["earlier_sessions"]]
    assert {key: first[key] for key in ("status", "started_at", "wall_seconds", "phases")} == found["earlier_sessions"][
        0
    ]
    assert ("done", folder.name, "") == (found["status"], found["run"], found["error"])
    assert [folder] == list(tmp_path.iterdir())


def test_a_killed_run_can_be_resumed(tmp_path: Path) -> None:
    """A record that says `running` is one whose process is gone."""
    folder = end(tmp_path, None)
    (folder / "run.json").write_text(json.dumps(on_disk(folder) | {"status": "running"}))
    end(tmp_path, None, resume=folder)
    assert ["running"] == [session["status"] for session in on_disk(folder)["earlier_sessions"]]


def test_a_run_that_is_done_is_not_resumed(tmp_path: Path) -> None:
    """It would train nothing; its record stays as it is."""
    folder = end(tmp_path, None)
    before = (folder / "run.json").read_bytes()
    with pytest.raises(PacelineError) as refused:
        end(tmp_path, None, resume=folder)
    assert f"The run '{folder.name}' is done. Start a new one, without --resume." == str(refused.value)
    assert before == (folder / "run.json").read_bytes()


@pytest.mark.parametrize(
    ("expected", "content"),
    [
        ("is damaged: Expecting value", b"{"[:0]),
        ("is damaged: Unterminated string", b'{"status'),
        ("is damaged: 'utf-8' codec", b"\xff\xfe"),
        ("is damaged: it holds no record", b"[]"),
        ("has a record of version None", b"{}"),
        ("has a record of version 99, this library reads 1", b'{"schema_version": 99}'),
    ],
)
def test_a_record_that_cannot_be_read_is_refused(expected: str, content: bytes, tmp_path: Path) -> None:
    """Cut off, of another encoding, of another form, of another version: one sentence that names it."""
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(PacelineError, match=r"run|record") as refused:
        record.read(tmp_path)
    assert expected in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """A folder without a record, no folder at all, a file; and a run.json that is a folder."""
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(PacelineError) as refused:
            record.read(path)
        assert f"'{path}' is not a run: it has no run.json. Name a folder below runs/." == str(refused.value)
    (tmp_path / "run.json").mkdir()
    with pytest.raises(PacelineError, match="cannot be read: Is a directory"):
        record.read(tmp_path)


def test_two_runs_of_one_second_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for a name of its own and does not write into the first's folder."""
    seconds = [7, 7, 7, 8]  # the first run's name, the second's attempts; the last one stays

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Frozen:
            return cls(2026, 7, 29, 14, 3, seconds.pop(0) if len(seconds) > 1 else seconds[0], tzinfo=tz or UTC)

    waits: list[float] = []
    monkeypatch.setattr(record, "datetime", Frozen)
    monkeypatch.setattr(record.time, "sleep", waits.append)
    first = record._new_folder(tmp_path, "trial")
    second = record._new_folder(tmp_path, "trial")
    assert ["20260729T140307Z-trial", "20260729T140308Z-trial"] == [first.name, second.name]
    assert 2 == len(waits)


def test_runs_cannot_be_kept_below_a_file(tmp_path: Path) -> None:
    """A user's mistake, so a sentence."""
    (tmp_path / "runs").touch()
    with pytest.raises(PacelineError, match=r"^No run can be kept in '.*runs': File exists\. Choose another folder\.$"):
        end(tmp_path / "runs", None)


def test_secrets_stay_in_the_configuration_alone(tmp_path: Path) -> None:
    """The record and the report, which people pass on, hide them; `config.toml`, which resuming needs, does not."""
    folder = end(tmp_path, None)
    tune = on_disk(folder)["config"]["tune"]
    assert {"storage": "postgresql://(hidden)@host/db", "api_key": "(hidden)"} == tune
    for name in ("run.json", "report.html"):
        text = (folder / name).read_text(encoding="utf-8")
        assert "me:pw" not in text
        assert "s3cr3t" not in text
    assert Project() == config.load(Project, folder / "config.toml")


def test_private_texts_stay_in_the_configuration_alone(tmp_path: Path) -> None:
    """A path that may name a person is hidden in record and report, in the command line as well."""
    chosen = Images(data=Data(path="/scans of Nightingale"))
    command = "images train --set 'data.path=/scans of Nightingale'"
    with record.start(chosen, tmp_path, name="trial", command=command) as run:
        folder = run.folder
    found = on_disk(folder)
    assert ("(hidden)", "images train --set data.path=(hidden)") == (found["config"]["data"]["path"], found["command"])
    assert "Nightingale" not in (folder / "report.html").read_text(encoding="utf-8")
    assert chosen == config.load(Images, folder / "config.toml")


def test_metrics_are_a_line_a_step(open_run: Callable[[], Run]) -> None:
    """Lines are strict JSON with the seconds since the start, and a later session adds to them."""
    for step in (1, 2):
        run = open_run()
        run.log({"step": step, "loss": float("nan")})
        run.close()
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [(1, None), (2, None)] == [(line["step"], line["loss"]) for line in lines]
    assert all(line["elapsed_seconds"] >= 0 for line in lines)


def test_what_is_trained_again_is_not_logged_twice(open_run: Callable[[], Run]) -> None:
    """Lines of a stage beyond its checkpoint go, and one that a kill cut in two; those of another stage stay."""
    run = open_run()
    run.forget("fit", 0)
    for step in (1, 2, 3):
        run.log({"stage": "fit", "step": step})
    run.forget("refit", 0)  # what is not written yet is not lost
    run.log({"stage": "refit", "step": 3})
    run.save()
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "refit", "st')
    again = open_run()
    again.forget("fit", 2)
    again.log({"stage": "fit", "step": 3})
    again.save()
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    expected = [("fit", 1), ("fit", 2), ("refit", 3), ("fit", 3)]
    assert expected == [(line["stage"], line["step"]) for line in lines]


def test_a_warning_is_kept_once_and_shown_at_once(
    open_run: Callable[[], Run], capsys: pytest.CaptureFixture[str]
) -> None:
    """The reader of the report and the one at the terminal both see it, one time."""
    run = open_run()
    run.warn("The GPU is not used.")
    run.warn("The GPU is not used.")
    assert ["The GPU is not used."] == run.state()["warnings"]
    assert "warning: The GPU is not used.\n" == capsys.readouterr().err


def test_software_names_what_is_installed() -> None:
    """Versions of Python, of the library and of frameworks, and nothing that is not here."""
    found = record.software()
    assert sys.version.split()[0] == found["python"]
    assert {"paceline", "numpy"} <= set(found)
    assert "torch" not in found
