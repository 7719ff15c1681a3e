"""Several hosts from the first second to the last: they agree before data are read, and end together, with a reason."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from paceline import hosts, together

SHARED = Path(__file__).parents[1] / "shared"
# A run without an engine: it reads, meets the others where a training would, and scores. A host may fail or stay.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from paceline import cli, record, together
from paceline.config import Section
from paceline.errors import PacelineError

together.OVERDUE_SECONDS = 0.5
record.PACKAGES = ()
record.platform.python_version = lambda: os.environ.get("VERSION", "3.11.7")

class Train(Section):
    epochs: int = 3

class Config(Section):
    train: Train = Train()

def stay(phase):
    if os.environ.get("STAYS") == phase:
        if "DEAF" in os.environ:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        Path("stays").touch()
        time.sleep(60)

def main(arguments):
    config = cli.load_config(Config, arguments)
    with record.start(config, arguments.runs, name="plain", resume=arguments.resume) as run:
        with run.phase("data"):
            Path("reads").touch()
            if os.environ.get("FAILS") == "refusal":
                raise PacelineError("There are no images in 'frames'.", "Give another folder.")
            if os.environ.get("FAILS") == "bug":
                raise ZeroDivisionError
            stay("data")
        together.check_alike({"the data's rows": int(os.environ.get("ROWS", "10"))}, {"its sum": 1.0})
        with run.phase("score"):
            stay("score")
    return {"run": str(run.folder), "epochs": run.config.train.epochs, "sessions": len(run.earlier_sessions)}

command = cli.Command("train", "trains", main, cli.train_arguments)
sys.exit(cli.main("plain", "a test", [command]))
"""


@pytest.fixture
def places() -> list[dict[str, str]]:
    """The environments of two hosts on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return [{hosts.COUNT: "2", hosts.NUMBER: str(number), hosts.ADDRESSES: address} for number in (0, 1)]


def start(folder: Path, place: dict[str, str], *argv: str, **environment: str) -> subprocess.Popen[str]:
    """Start the program as the host `place`, in a folder of its own."""
    home = folder / place[hosts.NUMBER]
    home.mkdir(exist_ok=True)
    (home / "config.toml").touch()
    settings = {**os.environ, "PYTHONPATH": str(SHARED), **place, **environment}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "train", "--json", *argv],
        cwd=home,
        env=settings,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def answer(process: subprocess.Popen[str], expected_code: int = 0) -> dict[str, Any]:
    """Return the JSON of the last line of a process that ends with `expected_code`."""
    out, err = process.communicate(timeout=60)
    assert expected_code == process.returncode, err[-3000:]
    assert expected_code == 0 or "Traceback" not in err
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def wait_for(path: Path) -> None:
    """Return once `path` is there."""
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_two_hosts_run_and_the_first_keeps_the_run(tmp_path: Path, places: list[dict[str, str]]) -> None:
    """Each on a disk of its own."""
    processes = [start(tmp_path, place) for place in places]
    first, _ = (answer(process) for process in processes)
    assert "done" == json.loads((tmp_path / "0" / first["run"] / "run.json").read_text())["status"]
    assert not (tmp_path / "1" / "runs").exists()


@pytest.mark.parametrize(
    ("argv", "environment", "expected"),
    [
        (
            (),
            {"VERSION": "3.99.1"},
            'Host 1 differs from host 0 in python: "3.99.1" and "3.11.7". Install the same lock',
        ),
        (("--set", "train.epochs=4"), {}, "Host 1 differs from host 0 in configuration.train.epochs: 4 and 3."),
        (("--set", "train.epoch=4"), {}, "[train] has no key 'epoch'"),
    ],
)
def test_hosts_that_differ_are_refused_before_data_are_read(
    argv: tuple[str, ...], environment: dict[str, str], expected: str, tmp_path: Path, places: list[dict[str, str]]
) -> None:
    """Another version, other settings, settings that are none: every host says the same, and leaves nothing."""
    processes = [start(tmp_path, places[0]), start(tmp_path, places[1], *argv, **environment)]
    for process in processes:
        assert expected in answer(process, 1)["error"]
    assert [] == [*tmp_path.glob("*/reads"), *tmp_path.glob("*/runs/*")]


def test_hosts_with_other_data_are_refused(tmp_path: Path, places: list[dict[str, str]]) -> None:
    """As soon as both have read them."""
    processes = [start(tmp_path, place, ROWS=rows) for place, rows in zip(places, ("10", "11"), strict=True)]
    for process in processes:
        assert "Host 1 differs from host 0 in the data's rows: 11 and 10." in answer(process, 1)["error"]


def test_a_host_that_does_not_come_is_missed_before_data_are_read(tmp_path: Path, places: list[dict[str, str]]) -> None:
    """Within a minute, by the host that came."""
    assert f"met nobody at {places[0][hosts.ADDRESSES]}" in answer(start(tmp_path, places[0]), 1)["error"]
    assert [] == list(tmp_path.glob("*/reads"))


def test_what_one_host_cannot_do_ends_all_with_its_reason(tmp_path: Path, places: list[dict[str, str]]) -> None:
    """A folder that is not there on one of them is named on the other."""
    processes = [start(tmp_path, places[0]), start(tmp_path, places[1], FAILS="refusal")]
    expected = "There are no images in 'frames'. Give another folder."
    assert f"Host 1 has gone: {expected} See what ended it" in answer(processes[0], 1)["error"]
    assert expected == answer(processes[1], 1)["error"]


def test_a_bug_on_one_host_ends_the_other_too(tmp_path: Path, places: list[dict[str, str]]) -> None:
    """The traceback stands where it happened, and the other host names its kind."""
    processes = [start(tmp_path, places[0]), start(tmp_path, places[1], FAILS="bug")]
    assert "Host 1 has gone: ZeroDivisionError." in answer(processes[0], 1)["error"]
    _, err = processes[1].communicate(timeout=60)
    assert "Traceback" in err


@pytest.mark.parametrize(
    ("phase", "environment"), [("data", {}), ("score", {}), ("score", {"DEAF": "1"})], ids=["data", "score", "engine"]
)
@pytest.mark.parametrize("victim", [0, 1])
def test_a_host_that_dies_outside_training_ends_the_other_clearly(
    phase: str, environment: dict[str, str], victim: int, tmp_path: Path, places: list[dict[str, str]]
) -> None:
    """While it reads, while it scores, and while it is in an engine that hears no signal; the record is closed."""
    processes = [start(tmp_path, place, STAYS=phase, **environment) for place in places]
    for number in (0, 1):
        wait_for(tmp_path / str(number) / "stays")
    since = time.monotonic()
    processes[victim].send_signal(signal.SIGKILL)
    assert f"Host {victim} has gone. See what ended it" in answer(processes[1 - victim], 1)["error"]
    assert time.monotonic() - since < 30  # the promise itself, not a measure of speed
    processes[victim].communicate()
    if victim == 1 and phase == "score" and environment:
        (record,) = (tmp_path / "0" / "runs").glob("*/run.json")
        assert ("failed", "Host 1 has gone.") == (
            json.loads(record.read_text())["status"],
            json.loads(record.read_text())["error"][:16],
        )


def stopped_run(folder: Path, epochs: int) -> Path:
    """Return a run, of one host, that has begun and was ended."""
    (folder / "0").mkdir()
    (folder / "0" / "config.toml").touch()
    alone = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_DISTRIBUTION")}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "train", "--set", f"train.epochs={epochs}"],
        cwd=folder / "0",
        env={**alone, "PYTHONPATH": str(SHARED), "STAYS": "score"},
    )
    wait_for(folder / "0" / "stays")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (run,) = (folder / "0" / "runs").iterdir()
    return run.relative_to(folder / "0")


@pytest.mark.parametrize("second", ["nothing", "what is not there", "another run"])
def test_the_first_host_decides_which_run_is_gone_on_with(
    second: str, tmp_path: Path, places: list[dict[str, str]]
) -> None:
    """Whatever the second one saw on its disk, it trains the first one's run with the settings of that."""
    run = stopped_run(tmp_path, epochs=7)
    argv = {"nothing": [], "what is not there": ["--resume", str(run)], "another run": ["--resume", "runs/other"]}
    if second == "another run":
        other = tmp_path / "1" / "runs" / "other"
        other.mkdir(parents=True)
        (other / "config.toml").write_text("[train]\nepochs = 5\n")
        (other / "run.json").write_bytes((tmp_path / "0" / run / "run.json").read_bytes())
    processes = [start(tmp_path, places[0], "--resume", str(run)), start(tmp_path, places[1], *argv[second])]
    first, another = (answer(process) for process in processes)
    assert (str(run), 7, 1) == (first["run"], first["epochs"], first["sessions"])
    assert 7 == another["epochs"]


def test_a_run_that_only_another_host_sees_is_not_gone_on_with(tmp_path: Path, places: list[dict[str, str]]) -> None:
    """The first one begins anew, and both do."""
    (tmp_path / "1").mkdir()
    processes = [start(tmp_path, places[0]), start(tmp_path, places[1], "--resume", "runs/other")]
    assert [3, 3] == [answer(process)["epochs"] for process in processes]


def test_alone_a_host_is_like_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is opened, nothing is waited for."""
    for name in (hosts.COUNT, hosts.NUMBER, hosts.ADDRESSES):
        monkeypatch.delenv(name, raising=False)
    together.check_alike({"python": "3.11"})
    assert [{"a": 1}] == together.gather({"a": 1})
