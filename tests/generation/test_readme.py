"""The READMEs' commands, run as written, and their snippets, read by what would read them."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from paceline import cli, config


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of `language` in Markdown."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_first_command_is_the_one_that_is_tested(repository: Path) -> None:
    """The README begins with the demo, which `test_ci` runs, and names the command that runs all tests."""
    text = (repository / "README.md").read_text(encoding="utf-8")
    assert "sh ci/demo fraud-detection\n" == blocks(text, "sh")[0]
    assert "`sh ci/test`" in text
    assert 3 == len(blocks(text, "sh"))


def test_commands_about_time_are_read_by_the_program(repository: Path) -> None:
    """The third block: every argument is known, also where the block is not run."""
    from fraud_detection.cli import COMMANDS, PROGRAM

    parser = cli.parser(PROGRAM, "", COMMANDS)
    for line in blocks((repository / "README.md").read_text(encoding="utf-8"), "sh")[2].splitlines():
        program, *words = shlex.split(line, comments=True)
        assert PROGRAM == program
        assert words[0] in {command.name for command in COMMANDS}
        parser.parse_args(words)


@pytest.mark.parametrize("template", ["fraud-detection", "medical-imaging", "driving-perception"])
def test_commands_of_a_projects_readme_are_read_by_its_program(repository: Path, template: str) -> None:
    """Of every block of its README: each argument is known, and a configuration that is named is there."""
    project = next((repository / "templates" / template).glob("*/config.toml")).parent
    module = importlib.import_module(f"{template.replace('-', '_')}.cli")
    parser, found = cli.parser(module.PROGRAM, "", module.COMMANDS), 0
    for block in blocks((project / "README.md").read_text(encoding="utf-8"), "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                if words[:1] != [module.PROGRAM]:
                    continue
                named = parser.parse_args(words[1:])
                if "--config" in words:
                    assert (project / str(named.config)).exists(), line
                found += 1
    assert found


@pytest.mark.slow
def test_a_project_of_ones_own_as_the_readme_makes_it(
    repository: Path,
    copy_repository: Callable[[Path], Path],
    clean_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    """The second block generates, installs, audits, trains, reports and tests, in a shell with cookiecutter and pip.

    The third is run in that project, with less time and fewer customers.
    """
    uv = shutil.which("uv") or str(repository / ".boot" / "bin" / "uv")
    if not Path(uv).exists():
        pytest.skip("needs uv, to make an environment with pip where Python has no venv module")
    block = blocks((repository / "README.md").read_text(encoding="utf-8"), "sh")[1]
    copy = copy_repository(tmp_path / "paceline")
    venv = tmp_path / "venv"
    environment = {**clean_environment, "HOME": os.environ.get("HOME", str(tmp_path))}  # the package caches lie there
    for command in (
        [uv, "venv", "--quiet", "--seed", "--python", sys.executable, str(venv)],
        [uv, "pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), "-r", "ci/cookiecutter.txt"],
    ):
        subprocess.run(command, cwd=copy, env=environment, check=True)
    environment["PATH"] = os.pathsep.join([str(venv / "bin"), "/usr/local/bin", "/usr/bin", "/bin"])
    environment["PIP_COMPILE"] = "0"  # bytecode of what is imported alone, and as it is imported
    del environment["PYTHONDONTWRITEBYTECODE"]
    environment["PYTEST_ADDOPTS"] = "-k test_cli"  # `test_workflow` runs all of a generated project's tests
    done = subprocess.run(
        ["bash", "-e", "-c", block], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    project = copy / "card-watch"
    assert (project / "data-sheet.html").exists()
    assert 1 == len(list(project.glob("runs/*/report.html")))
    assert (project / "runs" / "index.html").exists()
    about_time = blocks((repository / "README.md").read_text(encoding="utf-8"), "sh")[2]
    settings = (project / "config.toml").read_text(encoding="utf-8")
    for key, value in (("customers", 300), ("terminals", 400), ("resamples", 0)):  # the commands stay as they are
        settings = re.sub(rf"^{key} = \d+", f"{key} = {value}", settings, flags=re.MULTILINE)
    (project / "config.toml").write_text(settings, encoding="utf-8")
    shorter = re.sub(r"--time-budget \d+m", "--time-budget 90s", about_time)
    shorter = re.sub(r"levers\b", "levers --time-budget 20s", shorter)
    done = subprocess.run(
        ["bash", "-e", "-c", shorter], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert (project / "tune" / "study" / "config.toml").exists()
    assert (project / "levers.html").exists()


def test_commands_in_the_tables_exist(repository: Path, template: str, source: Path) -> None:
    """Every command that a README's table names is one of the program's, and the other way round."""
    program = importlib.import_module(f"{template.replace('-', '_')}.cli")
    text = (repository / source / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(rf"^\| `{template} (\w+)", text, flags=re.MULTILINE))
    assert {command.name for command in program.COMMANDS} == named


def test_toml_snippets_are_valid_configurations(repository: Path, template: str, source: Path) -> None:
    """What a reader pastes into `config.toml` is accepted."""
    model = importlib.import_module(f"{template.replace('-', '_')}.config").Config
    snippets = blocks((repository / source / "README.md").read_text(encoding="utf-8"), "toml")
    assert snippets
    for snippet in snippets:
        config.check(model, tomllib.loads(snippet), source="README.md")


def test_every_template_has_its_line(repository: Path) -> None:
    """The first table names what the folder `templates` holds."""
    text = (repository / "README.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in (repository / "templates").iterdir()) == sorted(
        re.findall(r"^\| `([a-z-]+)` \|", text.partition("## Start")[0], flags=re.MULTILINE)
    )


def test_results_are_those_that_were_kept(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables in the README are rendered from `ci/results`, and nobody has touched them up."""
    monkeypatch.syspath_prepend(str(repository / "ci" / "benchmarks"))
    import tables  # found only after the line above

    text = (repository / "README.md").read_text(encoding="utf-8")
    assert tables.insert(text, tables.render(repository / "ci" / "results")) == text


def test_the_tables_of_searches_say_what_was_measured(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folds, lengths and what varied are those that were kept; a cold search that was never as good, and the budget."""
    monkeypatch.syspath_prepend(str(repository / "ci" / "benchmarks"))
    import tables  # found only after the line above

    interval = {"value": 0.01, "low": 0.0, "high": 0.02}
    arm = {"TPE": [{"trials": 9, "pruned": 3}]}
    warm = {"target": "portfolio B", "seed": 0, "transferred": 0.7, "transferred_seconds": 2.0, "cold_before": 0.5}
    found = {"budget_seconds": 20.0, "seeds": 5, "tpe_less_random": interval, "tuned_less_defaults": interval}
    found |= {"arms": arm, "sampled_less_defaults": {"TPE": interval}, "warm_seconds": 8.0}
    found |= {"warm": [{**warm, "cold_seconds_to_it": None, "cold_seconds": 8.0}]}
    kept = {"folds": 4, "rounds": 150, "early_stopping_rounds": 15, "varied": ["data.windows_days"]}
    text = tables.tune(found | kept)
    for part in ("on 4 folds", "150 rounds at most, patience 15", "windows of the features vary", "never, in 8 s"):
        assert part in text
    assert "windows" not in tables.tune(found | kept | {"varied": ["train.l2"]})
    row = {"domain": "fraud", "data": "the Handbook's", "arm": "TPE", "trials": 7, "wall_seconds": 118.2}
    compared = {"domain": "fraud", "seeds": 2, "tpe_less_random_validation": interval}
    compared |= {"tuned_less_defaults_test": interval}
    text = tables.searches({"minutes": 2, "rows": [row], "compared": [compared]})
    assert "| fraud, the Handbook's data | 2 | 7 | 118 s of 120 s |" in text


def test_what_the_page_on_growth_calculates_is_from_what_was_kept(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCALE.md holds what its script makes of `ci/results`."""
    monkeypatch.syspath_prepend(str(repository / "ci" / "benchmarks"))
    import scale_page  # found only after the line above

    text = (repository / "SCALE.md").read_text(encoding="utf-8")
    assert scale_page.insert(text, scale_page.render(repository / "ci" / "results")) == text
