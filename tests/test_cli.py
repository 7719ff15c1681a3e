"""The commands' frame: exit codes, the last line of JSON, one line of error, nothing imported for --help."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import paceline
from paceline import atomic, cli
from paceline.cli import Command
from paceline.config import Section
from paceline.errors import PacelineError, Stopped


class Train(Section):
    """A section that every project has."""

    device: str = "auto"
    seed: int = 0


class Project(Section):
    """A configuration."""

    train: Train = Train()


def project(run: Callable[[argparse.Namespace], dict[str, Any]], *argv: str) -> int:
    """Run a program with one command."""
    commands = [Command("train", "train it", run, cli.train_arguments), cli.REPORT]
    return cli.main("project", "A project.", commands, argv)


def raising(error: BaseException) -> Callable[[argparse.Namespace], dict[str, Any]]:
    """Return a command that ends by `error`."""

    def run(_: argparse.Namespace) -> dict[str, Any]:
        raise error

    return run


def test_a_command_that_succeeds_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json the answer comes as people read it."""
    assert 0 == project(lambda _: {"run": "runs/a", "wall_seconds": 83.2}, "train")
    out, err = capsys.readouterr()
    assert ["wall time 1 min 23 s", "run       runs/a"] == out.splitlines()
    assert "" == err


def test_json_is_the_last_line_of_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the command prints before, the last line is one strict JSON object with its answer."""

    def run(_: argparse.Namespace) -> dict[str, Any]:
        print("reading")
        return {"run": Path("runs/ä"), "score": float("nan"), "text": "two\nlines"}

    assert 0 == project(run, "train", "--json")
    first, last = capsys.readouterr().out.splitlines()
    assert "reading" == first
    assert {"run": "runs/ä", "score": None, "text": "two\nlines"} == json.loads(last)


def test_warnings_go_to_standard_error_and_stay_in_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A person reads each on a line of its own; the answer for people does not repeat them."""
    assert 0 == project(lambda arguments: {"status": "done", "warnings": ["The data are old."]}, "train")
    assert ("status done\n", "warning: The data are old.\n") == tuple(capsys.readouterr())
    assert 0 == project(lambda arguments: {"status": "done", "warnings": ["The data are old."]}, "train", "--json")
    assert ["The data are old."] == json.loads(capsys.readouterr().out)["warnings"]


@pytest.mark.parametrize(
    ("code", "status", "line", "error"),
    [
        (1, "failed", "error: No data. Bring some.", PacelineError("No data.", "Bring some.")),
        (1, "failed", "error: Two lines. Mend them.", PacelineError("Two\n  lines.", "Mend them.")),
        (
            75,
            "stopped",
            "SIGTERM ended it. Go on with: project train --resume RUN",
            Stopped("SIGTERM ended it.", resumable=True),
        ),
        (75, "stopped", "SIGTERM ended it.", Stopped("SIGTERM ended it.", resumable=False)),
        (1, "failed", "Interrupted; nothing was left to save.", KeyboardInterrupt()),
        (
            1,
            "failed",
            "error: 'x.csv': Permission denied. See that it is there, may be used and has room.",
            PermissionError(13, "Permission denied", "x.csv"),
        ),
        (
            1,
            "failed",
            "error: No space left on device. See that it is there, may be used and has room.",
            OSError(28, "No space left on device"),
        ),
    ],
)
def test_a_command_that_fails_says_so_in_one_line(
    code: int, status: str, line: str, error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code, one line on standard error, and with --json an object all the same; never a traceback."""
    assert code == project(raising(error), "train")
    assert ("", f"{line}\n") == capsys.readouterr()
    assert code == project(raising(error), "train", "--json")
    out, err = capsys.readouterr()
    assert f"{line}\n" == err
    assert status == json.loads(out)["status"]
    assert json.loads(out)["error"]


def test_a_stop_says_the_whole_command_to_go_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    """It can be copied as it stands, also where a folder's name holds a space."""
    stop = Stopped("SIGTERM ended it.", resumable=True)
    stop.folder = Path("my runs/1")
    assert 75 == project(raising(stop), "train", "--json")
    out, err = capsys.readouterr()
    assert "SIGTERM ended it. Go on with: project train --resume 'my runs/1'\n" == err
    assert "my runs/1" == json.loads(out)["run"]


def test_a_defect_of_the_program_is_not_hidden() -> None:
    """What no user can mend keeps its traceback."""
    with pytest.raises(ZeroDivisionError):
        project(raising(ZeroDivisionError()), "train")


@pytest.mark.parametrize("argv", [[], ["nope"], ["train", "--nope"], ["train", "--js"], ["train", "--device", "cuda"]])
def test_wrong_arguments_exit_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A command or an option that there is not, an abbreviation, a wrong choice."""
    with pytest.raises(SystemExit) as ended:
        project(raising(AssertionError("was run")), *argv)
    assert 2 == ended.value.code
    assert capsys.readouterr().err.startswith("usage: project")


def test_version_names_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` tells which library the project carries."""
    with pytest.raises(SystemExit) as ended:
        project(raising(AssertionError("was run")), "--version")
    assert 0 == ended.value.code
    assert f"project, paceline {paceline.__version__}\n" == capsys.readouterr().out


def test_help_names_every_command_and_what_each_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command takes --config, --set and --json beside its own."""
    for argv, expected in (
        (["--help"], ("train", "report", "--version")),
        (["train", "--help"], ("--config", "--set", "--json", "--resume", "--device", "--runs")),
        (["report", "--help"], ("--config", "--set", "--json", "--runs")),
    ):
        with pytest.raises(SystemExit) as ended:
            project(raising(AssertionError("was run")), *argv)
        assert 0 == ended.value.code
        shown = capsys.readouterr().out
        assert [] == [word for word in expected if word not in shown]


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"], ["train", "--nope"]])
def test_arguments_are_parsed_before_anything_heavy_is_imported(
    arguments: list[str], process_environment: dict[str, str]
) -> None:
    """The fraud project answers --help without loading a framework, NumPy or pydantic."""
    code = f"""if True:
        import sys
        sys.argv[1:] = {arguments}
        from fraud_detection.cli import main
        try:
            main()
        finally:
            print("LOADED", *sorted(name for name in sys.modules if "." not in name))
    """
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=process_environment)
    loaded = answer.stdout.splitlines()[-1].split()
    assert "LOADED" == loaded[0]
    assert "paceline" in loaded
    heavy = {"numpy", "pydantic", "xgboost", "keras", "jax", "sklearn", "scipy", "polars", "tomlkit", "jinja2", "tqdm"}
    assert set() == heavy & set(loaded)


def test_a_reader_that_has_enough_is_no_failure(process_environment: dict[str, str]) -> None:
    """`project train --json | head -0`: no traceback, exit code 0."""
    code = """if True:
        import sys
        from paceline import cli
        sys.stdin.readline()  # until the reader is gone
        commands = [cli.Command("train", "", lambda _: {"text": "x" * 100_000})]
        sys.exit(cli.main("project", "", commands, ["train", "--json"]))
    """
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=process_environment,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(b"\n")
        process.stdin.close()
        assert b"" == process.stderr.read()
        assert 0 == process.wait(timeout=60)


def arguments(**given: Any) -> argparse.Namespace:
    """Return parsed arguments as `train` has them."""
    return argparse.Namespace(**{"config": None, "overrides": [], "device": None, "resume": None, **given})


def test_the_configuration_is_that_of_the_folder_with_overrides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """config.toml of the present folder unless another is named; --device is one more override, and the last."""
    (tmp_path / "config.toml").write_text("[train]\nseed = 1")
    (tmp_path / "other.toml").write_text("[train]\nseed = 2")
    monkeypatch.chdir(tmp_path)
    assert 1 == cli.load_config(Project, arguments()).train.seed
    assert 2 == cli.load_config(Project, arguments(config=Path("other.toml"))).train.seed
    found = cli.load_config(Project, arguments(overrides=["train.seed=3", "train.device=cpu"], device="gpu"))
    assert (3, "gpu") == (found.train.seed, found.train.device)


def test_a_resumed_run_brings_its_own_configuration(tmp_path: Path) -> None:
    """What could not be heeded is refused, not ignored."""
    (tmp_path / "config.toml").write_text("[train]\nseed = 5")
    atomic.write_json(tmp_path / "run.json", {"schema_version": 1})
    assert 5 == cli.load_config(Project, arguments(resume=tmp_path)).train.seed
    for given in ({"overrides": ["train.seed=1"]}, {"config": Path("c.toml")}, {"device": "cpu"}):
        with pytest.raises(PacelineError, match=r"^--resume got a configuration, but a run goes on with its own\."):
            cli.load_config(Project, arguments(resume=tmp_path, **given))
    with pytest.raises(PacelineError, match="is not a run"):
        cli.load_config(Project, arguments(resume=tmp_path / "absent"))


def test_the_command_line_can_be_typed_again_without_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quoted for a shell, passwords hidden: it goes into every record."""
    monkeypatch.setattr(sys, "argv", ["x", "train", "--set", "data.path=a b.csv", "--set", "tune.storage=pg://u:p@h/d"])
    expected = "project train --set 'data.path=a b.csv' --set tune.storage=pg://(hidden)@h/d"
    assert expected == cli.command_line("project")


def test_report_without_a_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The library's own command reports a mistake like every other."""
    assert 1 == project(raising(AssertionError("was run")), "report", "--runs", str(tmp_path / "runs"))
    assert capsys.readouterr().err.startswith("error: There is no run in ")
