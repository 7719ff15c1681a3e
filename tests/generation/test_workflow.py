"""The generated project's workflow: its own commands, as written, in a fresh environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

COMPILING = ("XLA_FLAGS", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")  # as tests/conftest.py sets them


@pytest.fixture
def steps(project: Path) -> list[dict[str, Any]]:
    """The steps of the workflow's one job."""
    workflow = yaml.safe_load((project / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    listed: list[dict[str, Any]] = workflow["jobs"]["test"]["steps"]
    return listed


def test_workflow_lints_checks_tests_and_trains(template: str, steps: list[dict[str, Any]]) -> None:
    """Lint, format, types, tests and a short training, whose report is kept."""
    commands = "\n".join(step["run"] for step in steps if "run" in step)
    for command in ("ruff check", "ruff format --check", "mypy", "pytest", f"{template} train"):
        assert command in commands
    assert "${{" not in commands  # what is run needs no server to fill it in
    assert "runs/*/report.html" == steps[-1]["with"]["path"]


@pytest.mark.slow
def test_commands_pass_as_written(
    repository: Path,
    template: str,
    steps: list[dict[str, Any]],
    generate: Callable[..., Path],
    clean_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    """A renamed project with odd answers passes its own checks, by plain pip and its lock (needs the index)."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("needs uv on PATH, to make an environment with pip where Python has no venv module")
    answers = {"project_slug": "renamed-2", "description": 'a "quoted" \\ text \N{ROCKET}'}
    made = generate(tmp_path, answers, template=repository / "templates" / template)
    environment = {**clean_environment, "HOME": os.environ.get("HOME", "/nonexistent")}  # the package caches lie there
    venv = tmp_path / "venv"
    subprocess.run(
        [uv, "venv", "--quiet", "--seed", "--python", sys.executable, str(venv)], env=environment, check=True
    )
    environment["PATH"] = os.pathsep.join([str(venv / "bin"), "/usr/local/bin", "/usr/bin", "/bin"])
    environment["VIRTUAL_ENV"] = str(venv)
    environment["PIP_COMPILE"] = "0"  # bytecode of what is imported alone, and as it is imported
    del environment["PYTHONDONTWRITEBYTECODE"]
    for step in [step for step in steps if "run" in step]:
        command = ["bash", "-e", "-c", step["run"]]
        # Its tests compile what the template's do in place, and as those do: one of the two finds it compiled.
        flags = {name: os.environ[name] for name in COMPILING if "pytest" in step["run"] and name in os.environ}
        done = subprocess.run(
            command, cwd=made, env={**environment, **flags}, capture_output=True, text=True, check=False
        )
        assert 0 == done.returncode, f"{step['run']}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert 1 == len(list(made.glob(steps[-1]["with"]["path"])))
