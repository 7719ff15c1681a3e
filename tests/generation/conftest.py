"""What several tests start from: the repository, a way to generate from it, and one generated project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted(file.parent.name for file in ROOT.glob("templates/*/cookiecutter.json"))

Generate = Callable[..., Path]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """The files of the repository that git knows, relative to its root and present; skips where there is no git."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a checkout, to know which files belong to the repository")
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [Path(name) for name in listing.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="session")
def copy_repository(tracked: list[Path]) -> Callable[[Path], Path]:
    """A function that copies the tracked files, as they are in the working tree, to a new folder and returns it."""

    def copy(target: Path) -> Path:
        for file in tracked:
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, target / file)
        return target

    return copy


@pytest.fixture(scope="session")
def cookiecutter_settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Cookiecutter user configuration that keeps everything in a temporary folder and has no defaults of its own."""
    folder = tmp_path_factory.mktemp("cookiecutter")
    settings = folder / "settings.yaml"
    settings.write_text(f"replay_dir: {folder / 'replay'}\ncookiecutters_dir: {folder / 'clones'}\n", encoding="utf-8")
    return settings


@pytest.fixture(scope="session")
def generate(cookiecutter_settings: Path) -> Generate:
    """A function that generates a project in this process: `generate(output, answers, template=..., overwrite=...)`."""

    def run(
        output: Path,
        answers: Mapping[str, str] | None = None,
        *,
        template: Path = ROOT / "templates" / "fraud-detection",
        overwrite: bool = False,
    ) -> Path:
        # Jinja would be evaluated in answers, as on Cookiecutter's command line: none of the tests' answers holds any.
        return Path(
            cookiecutter(
                str(template),
                no_input=True,
                extra_context=dict(answers or {}),
                output_dir=str(output),
                overwrite_if_exists=overwrite,
                config_file=str(cookiecutter_settings),
            )
        )

    return run


@pytest.fixture(scope="session", params=TEMPLATES)
def template(request: pytest.FixtureRequest) -> str:
    """The name of a template, each in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def source(template: str) -> Path:
    """The folder of the template's project, relative to the repository's root."""
    return Path("templates", template, "{{cookiecutter.project_slug}}")


@pytest.fixture(scope="session")
def project(template: str, generate: Generate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's project with the default answers; tests read it and do not write to it."""
    return generate(tmp_path_factory.mktemp("project"), template=ROOT / "templates" / template)


@pytest.fixture(scope="session")
def clean_environment(tmp_path_factory: pytest.TempPathFactory, cookiecutter_settings: Path) -> dict[str, str]:
    """Environment variables for a started process: a home of its own, no PYTHONPATH, this interpreter first on PATH.

    The caches of downloaded packages are the user's, where there are any.
    """
    home = tmp_path_factory.mktemp("home")
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("SSL_", "REQUESTS_", "PIP_", "UV_", "LANG", "LC_")) or name.lower().endswith("_proxy")
    }
    return {
        **{
            f"{tool.upper()}_CACHE_DIR": str(caches / tool)
            for tool in ("uv", "pip")
            if os.access(caches / tool, os.W_OK)
        },
        **kept,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(home),
        "COOKIECUTTER_CONFIG": str(cookiecutter_settings),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_AUTHOR_NAME": "Test",
        "GIT_AUTHOR_EMAIL": "test@example.org",
        "GIT_COMMITTER_NAME": "Test",
        "GIT_COMMITTER_EMAIL": "test@example.org",
    }
