"""The commands end to end: what they print and write, their exit codes, one line for a user's mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medical_imaging import cli
from medical_imaging.config import Config
from paceline import config

Call = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """A function that runs a command line in an empty folder: exit code, the JSON of the last line, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*argv: object) -> tuple[int, Any, str]:
        monkeypatch.setattr(sys, "argv", ["medical-imaging", *(str(word) for word in argv)])
        code = cli.main()
        out, err = capsys.readouterr()
        return code, json.loads(out.splitlines()[-1]) if "--json" in argv else out, err

    return run


def test_training_evaluating_and_reporting_one_after_the_other(call: Call, small: Config, tmp_path: Path) -> None:
    """Each command takes what the one before left; programs read the last line, people the rest."""
    (tmp_path / "config.toml").write_text(config.dump(small))
    code, trained, _ = call("train", "--json", "--set", "train.epochs=1", "--set", "report.resamples=0")
    assert (0, "done") == (code, trained["status"])
    run = tmp_path / trained["run"]
    code, evaluated, _ = call("evaluate", run, "--json")
    assert 0 == code
    assert trained["scores"]["auroc"]["value"] == pytest.approx(evaluated["scores"]["auroc"]["value"], abs=1e-6)
    (run / "report.html").unlink()
    code, answer, _ = call("report", run, "--json")
    assert (0, str(run / "report.html")) == (code, answer["report"])


def test_the_data_are_audited(call: Call, small: Config, tmp_path: Path) -> None:
    """Counts on the screen and in a sheet."""
    (tmp_path / "config.toml").write_text(config.dump(small))
    code, found, _ = call("data", "--json", "--output", "sheets/data.html")
    assert 0 == code
    assert found["images"] > 0
    assert (tmp_path / "sheets" / "data.html").is_file()


@pytest.mark.parametrize(
    ("expected", "argv"),
    [
        ("There is no configuration file 'config.toml'.", ["train"]),
        ("[train] has no key 'epoch'. Did you mean 'epochs'?", ["train", "--config", "{c}", "--set", "train.epoch=3"]),
        ("model.name = 'frozen' wants a backbone", ["train", "--config", "{c}", "--set", "model.name=frozen"]),
        ("model.head = 'kernel' wants features", ["train", "--config", "{c}", "--set", "model.head=kernel"]),
        ("There is no backbone 'Nowhere'", ["train", "--config", "{c}", "--set", "model.backbone=Nowhere"]),
        ("data.path is empty.", ["train", "--config", "{c}", "--set", "data.source=dicom"]),
        ("'nowhere' is not a run: it has no run.json.", ["evaluate", "nowhere"]),
        ("'nowhere' is not a run: it has no run.json.", ["predict", "nowhere", "a.dcm"]),
        ("'nowhere' is not a run: it has no run.json.", ["export", "nowhere"]),
        ("'nowhere' is not a run: it has no run.json.", ["benchmark", "nowhere"]),
        ("'x.txt' has an unknown ending.", ["predict", "{run}", "a.dcm", "--output", "x.txt"]),
    ],
)
def test_a_mistake_is_one_line(expected: str, argv: list[str], call: Call, small: Config, run_folder: Path) -> None:
    """Exit code 1, the cause first on one line, no traceback."""
    Path("settings").mkdir()
    Path("settings/c.toml").write_text(config.dump(small))
    words = [word.format(c="settings/c.toml", run=run_folder) for word in argv]
    code, _, err = call(*words)
    assert 1 == code
    line = err.splitlines()[-1]
    assert line.startswith(f"error: {expected}")
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["tune", "levers"])
def test_a_device_that_is_not_here_is_refused_before_keras_is_loaded(
    command: str, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine it takes longer to load than a user waits for such an error."""
    (tmp_path / "config.toml").write_text(config.dump(small))
    code = (
        "import sys; from medical_imaging import cli; from paceline import device; device.gpus = lambda: (); "
        f"sys.argv = ['medical-imaging', '{command}', '--device', 'gpu']; "
        "code = cli.main(); print(code, 'keras' in sys.modules)"
    )
    paths = [str(Path(module.__file__ or "").parents[1]) for module in (cli, config)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert "1 False\n" == done.stdout
    assert done.stderr.startswith("error: A GPU was asked for")
