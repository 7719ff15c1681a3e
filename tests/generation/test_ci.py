"""The scripts in `ci/`: plain errors with a remedy, and one real demonstration from nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

SCRIPTS = ["boot", "demo", "lock", "test"]


@pytest.fixture(scope="module")
def copy(copy_repository: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository where scripts can write."""
    return copy_repository(tmp_path_factory.mktemp("copy"))


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A folder for PATH with the shell's usual tools and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "dirname", "basename", "mkdir", "cat", "grep", "sed", "tail", "rm"):
        (folder / tool).symlink_to(shutil.which(tool) or tool)
    return folder


def run(script: str, *arguments: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a script of `ci/` and return what it did."""
    command = ["sh", f"ci/{script}", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_is_posix_shell(repository: Path, script: str) -> None:
    """Every script parses, and uses none of what only bash knows."""
    subprocess.run(["sh", "-n", str(repository / "ci" / script)], check=True)
    text = (repository / "ci" / script).read_text(encoding="utf-8")
    assert not re.search(r"\[\[ |\bfunction\b|\bsource\b|\blocal\b|<\(|&>|\$\{\w+\[", text)


def test_unknown_template_is_refused_with_the_known_ones(copy: Path, clean_environment: dict[str, str]) -> None:
    """A slip of the finger costs nothing: no download, one cause, one remedy."""
    done = run("demo", "fraud", folder=copy, environment=clean_environment)
    assert (1, "") == (done.returncode, done.stdout)
    assert [
        "FAILED: there is no template 'fraud'",
        f"Remedy: Name one of: {' '.join(sorted(path.name for path in (copy / 'templates').iterdir()))} all",
    ] == done.stderr.splitlines()


def test_unknown_option_of_lock_is_refused(copy: Path, clean_environment: dict[str, str]) -> None:
    """`--upgrde` does not silently mean nothing."""
    done = run("lock", "--upgrde", folder=copy, environment=clean_environment)
    assert 1 == done.returncode
    assert "FAILED: '--upgrde' is no option" == done.stderr.splitlines()[0]


@pytest.mark.parametrize("script", ["demo", "test", "lock"])
def test_without_python_the_remedy_is_the_package_to_install(copy: Path, bare_path: Path, script: str) -> None:
    """The one thing that the scripts cannot bring along."""
    done = run(script, folder=copy, environment={"PATH": str(bare_path)})
    assert 1 == done.returncode
    assert [
        "FAILED: no Python 3.11 or newer is on PATH",
        "Remedy: Install one: apt-get install python3 python3-pip",
    ] == (done.stderr.splitlines())


def test_without_pip_the_remedy_is_the_package_to_install(copy: Path, bare_path: Path) -> None:
    """Debian's python3 comes without pip."""
    python = bare_path / "python3"
    python.write_text(f'#!{bare_path}/sh\n[ "$2" = pip ] && exit 1\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    done = run("demo", folder=copy, environment={"PATH": str(bare_path), "HOME": str(bare_path)})
    assert 1 == done.returncode
    assert [
        f"FAILED: {python} has no pip",
        "Remedy: Install it: apt-get install python3-pip",
    ] == done.stderr.splitlines()


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("Collecting\\nERROR: no route to the index\\nhint: none\\n", "no route to the index"),
        ("error: failed\\n  Caused by: no route\\n  Caused by: no cable\\n", "no cable"),
        ("error: failed\\n  cause: no cable\\n\\nhint: buy one\\n", "no cable"),
        ("first\\n2 failed, 3 passed\\n\\n", "2 failed, 3 passed"),
    ],
)
def test_a_step_that_fails_ends_with_its_innermost_cause(copy: Path, bare_path: Path, output: str, cause: str) -> None:
    """What a tool has said is shown, and its last reason is repeated with a remedy."""
    python = bare_path / "python3"
    python.write_text(
        f"""#!{bare_path}/sh
case "$*" in
*--version*) exit 0 ;;
*install*) printf '{output}' >&2; exit 1 ;;
*) exec "{sys.executable}" "$@" ;;
esac
""",
        encoding="utf-8",
    )
    python.chmod(0o755)
    done = run("demo", folder=copy, environment={"PATH": str(bare_path), "HOME": str(bare_path)})
    assert 1 == done.returncode
    assert re.fullmatch(r"uv +\d+\.\d s\n", done.stdout)
    assert output.split("\\n")[0] in done.stderr
    assert [
        f"FAILED: uv: {cause}",
        "Remedy: See that the package index can be reached, then run this again.",
    ] == done.stderr.splitlines()[-2:]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_checkout_that_cannot_be_written_to_is_refused(copy: Path, clean_environment: dict[str, str]) -> None:
    """Somebody else's folder: the remedy is a copy."""
    copy.chmod(0o555)
    try:
        done = run("demo", folder=copy, environment=clean_environment)
    finally:
        copy.chmod(0o755)
    assert 1 == done.returncode
    assert "cannot be written to" in done.stderr


def test_entry_for_automation_only_calls_the_script(
    copy: Path, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    """`.ci/run` reaches `ci/test` of its own repository from any folder, and hands its exit code on."""
    entry = tmp_path / "repository" / ".ci" / "run"
    entry.parent.mkdir(parents=True)
    shutil.copy2(copy / ".ci" / "run", entry)
    (tmp_path / "repository" / "ci").mkdir()
    (tmp_path / "repository" / "ci" / "test").write_text("echo reached; exit 7\n", encoding="utf-8")
    done = subprocess.run([str(entry)], cwd="/", env=clean_environment, capture_output=True, text=True, check=False)
    assert (7, "reached\n") == (done.returncode, done.stdout)


def test_repository_workflow_runs_the_two_commands(repository: Path) -> None:
    """What runs on the server is what anybody can run: no third way."""
    workflow = yaml.safe_load((repository / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["test"]
    assert ["sh ci/test", "sh ci/demo all"] == [step["run"] for step in job["steps"] if "run" in step]
    assert "3.11" == job["strategy"]["matrix"]["python"][0]


@pytest.mark.slow
def test_demo_ends_with_a_report(copy: Path, template: str, clean_environment: dict[str, str]) -> None:
    """From a copy of the repository to a trained model, with one line a step (needs the package index)."""
    done = run("demo", template, folder=copy, environment=clean_environment)
    assert 0 == done.returncode, done.stderr
    *steps, last = done.stdout.splitlines()
    assert all(re.fullmatch(r"\S.* +\d+\.\d s", line) for line in steps), steps
    assert any(line.startswith(f"{template}: train ") for line in steps)
    report = Path(last.removeprefix("Report: "))
    assert report.is_relative_to(copy / ".demo" / template / "runs")
    assert "<html" in report.read_text(encoding="utf-8")
