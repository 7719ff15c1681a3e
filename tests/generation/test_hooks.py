"""What the hooks refuse, and how the library reaches the project."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cookiecutter.environment import StrictEnvironment
from cookiecutter.exceptions import CookiecutterException, FailedHookException, OutputDirExistsException
from hypothesis import given
from hypothesis import strategies as st

from paceline import origin

TEMPLATE = Path("templates", "fraud-detection")
HOOKS = ["local_extensions.py", "hooks/pre_gen_project.py", "hooks/post_gen_project.py"]

Generate = Callable[..., Path]


def environment(repository: Path) -> StrictEnvironment:
    """Return Cookiecutter's Jinja environment as the template sets it up."""
    sys.path.append(str(repository / TEMPLATE))
    try:
        return StrictEnvironment(context={"cookiecutter": {"_extensions": ["local_extensions.ProjectText"]}})
    finally:
        sys.path.remove(str(repository / TEMPLATE))


@pytest.fixture(scope="module")
def pre_gen(repository: Path) -> Any:
    """The functions of the hook that checks the answers, rendered with none."""
    source = (repository / TEMPLATE / "hooks" / "pre_gen_project.py").read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "pre_gen_project"}
    exec(environment(repository).from_string(source).render(cookiecutter={}), namespace)  # noqa: S102 -- our own file
    return SimpleNamespace(**namespace)


class TestRefusals:
    """`pre_gen_project.py`."""

    @pytest.mark.parametrize("slug", ["fraud-detection", "a", "x2", "2x", "card-fraud-2025", "json", "fraud", "a" * 60])
    def test_a_distribution_name_is_accepted(self, slug: str, pre_gen: Any) -> None:
        """Normalised names pass; a module of the standard library clashes with nothing, for it is no package's name."""
        assert pre_gen.slug_problem(slug, {"numpy", "paceline"}) is None

    @pytest.mark.parametrize(
        ("slug", "suggestion"),
        [
            ("Fraud", "fraud"),
            ("fraud_detection", "fraud-detection"),
            ("fraud.detection", "fraud-detection"),
            ("fraud--detection", "fraud-detection"),
            ("-fraud-", "fraud"),
            ("../fraud", "fraud"),
            ("..", "my-project"),
            ("a/b", "a-b"),
            ("a\\b", "a-b"),
            ("C:\\x", "c-x"),
            ("~", "my-project"),
            ("fraud detection", "fraud-detection"),
            ("fraud\ndetection", "fraud-detection"),
            ("fraud\n", "fraud"),
            ("détection", "d-tection"),
            ("\N{ROCKET}", "my-project"),
            ("$(id)", "id"),
            ("numpy", "numpy-project"),
            ("NumPy", "numpy-project"),
            ("paceline", "paceline-project"),
            ("nul", "nul-project"),
            ("COM1", "com1-project"),
            ("a" * 61, "a" * 60),
        ],
    )
    def test_another_slug_is_refused_with_one_that_works(self, slug: str, suggestion: str, pre_gen: Any) -> None:
        """Each refusal holds a suggestion, and the suggestion is accepted."""
        taken = {"numpy", "paceline"}
        assert f"Try {suggestion!r}." in pre_gen.slug_problem(slug, taken)
        assert pre_gen.slug_problem(suggestion, taken) is None

    @pytest.mark.parametrize(
        "text", ["", "  ", "two\nlines", "a\rb", "tab\tbed", "\x00", "\x1b[31m", "\x7f", "a\u2028b", "x" * 501]
    )
    def test_a_text_of_no_single_line_is_refused(self, text: str, pre_gen: Any) -> None:
        """Nothing, line breaks, control characters and whole books are no answer."""
        assert pre_gen.text_problem(text)

    def test_dependencies_are_the_names_in_the_locks(self, repository: Path, pre_gen: Any) -> None:
        """A project of a dependency's name would pass for it: direct ones, indirect ones, those of every extra."""
        names = pre_gen.dependencies(repository / TEMPLATE / "{{cookiecutter.project_slug}}")
        assert {"paceline", "numpy", "markupsafe", "xgboost-cpu", "nvidia-cublas"} <= names

    def test_all_problems_are_told_at_once(
        self, generate: Generate, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """One attempt shows every answer to mend, in ASCII, and leaves nothing behind."""
        answers = {"project_name": "a\nb", "description": "", "author": "\N{ROCKET}\t", "project_slug": "numpy"}
        with pytest.raises(FailedHookException):
            generate(tmp_path, answers)
        errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("ERROR: ")]
        named = ["project_name", "description", "author", "project_slug"]
        assert named == [line.removeprefix("ERROR: ").split(" = ")[0] for line in errors]
        assert all(line.isascii() for line in errors)
        assert [] == list(tmp_path.iterdir())

    @pytest.mark.parametrize("slug", ["../outside", "..", ".", "", "/", "inner/deep", "x" * 300])
    def test_a_path_as_slug_makes_no_project(self, slug: str, generate: Generate, tmp_path: Path) -> None:
        """Whatever a slug points at, no file is written: not here, not outside."""
        output = tmp_path / "output"
        output.mkdir()
        with pytest.raises((CookiecutterException, OSError)):
            generate(output, {"project_slug": slug})
        assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]
        assert not (tmp_path / "outside").exists()

    def test_leftovers_of_work_in_the_template_are_refused(
        self,
        generate: Generate,
        copy_repository: Callable[[Path], Path],
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """Runs trained in the template's folder would be copied into every project."""
        template = copy_repository(tmp_path / "copy") / TEMPLATE
        (template / "{{cookiecutter.project_slug}}" / "runs").mkdir()
        with pytest.raises(FailedHookException):
            generate(tmp_path / "output", template=template)
        assert "the template holds a folder 'runs'" in capfd.readouterr().err

    @given(st.text(max_size=60))
    def test_what_is_accepted_survives_toml(self, repository: Path, pre_gen: Any, text: str) -> None:
        """Any text that the hook lets through reaches the project's metadata as it was."""
        if pre_gen.text_problem(text):
            return
        source = (repository / TEMPLATE / "{{cookiecutter.project_slug}}" / "pyproject.toml").read_text(
            encoding="utf-8"
        )
        answers = {"project_slug": "x", "description": text, "author": text, "license": "MIT"}
        metadata = tomllib.loads(environment(repository).from_string(source).render(cookiecutter=answers))["project"]
        assert (text, text) == (metadata["description"], metadata["authors"][0]["name"])

    @given(st.text(max_size=60))
    def test_any_answer_reaches_the_hook_as_it_was_given(self, repository: Path, text: str) -> None:
        """No answer can end the literal it stands in: three quotes, backslashes, line ends."""
        source = (repository / TEMPLATE / "hooks" / "pre_gen_project.py").read_text(encoding="utf-8")
        namespace: dict[str, Any] = {"__name__": "pre_gen_project"}
        rendered = environment(repository).from_string(source).render(cookiecutter={"author": text})
        exec(rendered, namespace)  # noqa: S102 -- our own file
        assert {"author": text} == namespace["ANSWERS"]


class TestLibraryCopy:
    """`post_gen_project.py`."""

    def test_record_beside_the_copy_fits_it(self, project: Path) -> None:
        """The version and the fingerprint are those of what was copied."""
        record = json.loads((project / "shared" / "paceline.json").read_text(encoding="utf-8"))
        assert {"version", "sha256"} == set(record)
        assert origin.fingerprint(project / "shared" / "paceline") == record["sha256"]

    def test_an_existing_folder_is_refused_and_left_alone(self, generate: Generate, tmp_path: Path) -> None:
        """Somebody's work is not overwritten unless asked."""
        mine = tmp_path / "fraud-detection" / "mine.txt"
        mine.parent.mkdir()
        mine.write_text("mine", encoding="utf-8")
        with pytest.raises(OutputDirExistsException):
            generate(tmp_path)
        assert [mine] == [path for path in tmp_path.rglob("*") if path.is_file()]

    def test_generating_again_renews_the_library_and_keeps_the_rest(self, generate: Generate, tmp_path: Path) -> None:
        """A changed file is as before, one that is no longer the library's is gone, and no run is lost."""
        made = generate(tmp_path)
        errors, stray = made / "shared" / "paceline" / "errors.py", made / "shared" / "paceline" / "stray.py"
        original = errors.read_bytes()
        errors.write_bytes(b"changed")
        stray.write_bytes(b"stray")
        kept = made / "runs" / "one" / "__pycache__" / "kept.txt"
        kept.parent.mkdir(parents=True)
        kept.write_text("kept", encoding="utf-8")
        assert made == generate(tmp_path, overwrite=True)
        assert original == errors.read_bytes()
        assert not stray.exists()
        assert kept.exists()
        assert {"paceline", "paceline.json"} == {path.name for path in (made / "shared").iterdir()}

    def test_caches_and_backups_stay_behind(
        self, generate: Generate, copy_repository: Callable[[Path], Path], project: Path, source: Path, tmp_path: Path
    ) -> None:
        """Working on the library and the template in place leaves no trace in a project."""
        copy = copy_repository(tmp_path / "copy")
        template = copy / source
        package = next(template.glob("src/*"))
        library = copy / "shared" / "paceline"
        for junk in (
            library / "__pycache__" / "clock.cpython-311.pyc",
            library / ".hidden",
            library / "clock.py~",
            library / "clock.py.orig",
            template / ".pytest_cache" / "README.md",
            template / ".ruff_cache" / "x",
            package / "__pycache__" / "config.cpython-311.pyc",
        ):
            junk.parent.mkdir(exist_ok=True)
            junk.write_bytes(b"\x00junk")
        made = generate(tmp_path / "output", template=template.parent)
        expected, actual = (
            {path.relative_to(folder).as_posix() for folder, path in ((root, path) for path in root.rglob("*"))}
            for root in (project, made)
        )
        assert expected == actual
        assert [] == [path for path in library.rglob("__pycache__/*") if path.name != "clock.cpython-311.pyc"]

    def test_a_template_without_the_library_says_what_is_missing(
        self, generate: Generate, repository: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Only the template's folder was copied somewhere: the error names the missing folder and the way out."""
        shutil.copytree(repository / TEMPLATE, tmp_path / "a" / "b" / "c")
        with pytest.raises(FailedHookException):
            generate(tmp_path / "output", template=tmp_path / "a" / "b" / "c")
        errors = capfd.readouterr().err
        assert "the library is missing" in errors
        assert "--directory" in errors
        assert not (tmp_path / "output" / "fraud-detection").exists()

    def test_hooks_name_no_domain_and_are_the_same_everywhere(self, repository: Path) -> None:
        """One set of hooks serves every template."""
        templates = sorted(file.parent for file in (repository / "templates").glob("*/cookiecutter.json"))
        for name in HOOKS:
            texts = {(template / name).read_text(encoding="utf-8") for template in templates}
            assert 1 == len(texts), name
            text = texts.pop()
            assert [] == [word for word in ("fraud", "driving", "medical") if word in text], name

    def test_hooks_need_the_standard_library_alone(self, repository: Path, project: Path, tmp_path: Path) -> None:
        """Cookiecutter may live in an environment of its own: the hook runs without any installed package."""
        source = (repository / TEMPLATE / "hooks" / "post_gen_project.py").read_text(encoding="utf-8")
        jinja = environment(repository)
        jinja.globals["getcwd"] = lambda: str(repository / TEMPLATE)
        hook = tmp_path / "hook.py"
        hook.write_text(jinja.from_string(source).render(), encoding="utf-8")
        made = tmp_path / "made"
        made.mkdir()
        subprocess.run([sys.executable, "-I", "-S", str(hook)], cwd=made, check=True)
        record = Path("shared", "paceline.json")
        assert (project / record).read_bytes() == (made / record).read_bytes()
