"""Generating a project: every way to call Cookiecutter gives the same one, complete and without a trace of Jinja."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from markdown_it import MarkdownIt
from markdown_it.token import Token

RENDERED = {"pyproject.toml", "README.md", "LICENSE"}

Generate = Callable[..., Path]


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below `folder`, by its path there."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and ".git" not in file.relative_to(folder).parts and file.name != ".cruft.json"
    }


def context(template: Path) -> dict[str, Any]:
    """Return a template's questions and settings."""
    found: dict[str, Any] = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))
    return found


def run(command: list[str], folder: Path, environment: dict[str, str], answers: str = "") -> None:
    """Run `command` in `folder`, typing `answers`; a failure shows what it printed."""
    done = subprocess.run(
        command, cwd=folder, env=environment, input=answers, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, f"{command}\n{done.stdout}\n{done.stderr}"


def merged(token: Token) -> list[Token]:
    """Return what stands in a piece of Markdown, with neighbouring pieces of plain text as one."""
    pieces: list[Token] = []
    for child in token.children or []:
        if pieces and pieces[-1].type == child.type == "text":
            pieces[-1].content += child.content
        else:
            pieces.append(child)
    return pieces


@pytest.fixture(scope="module")
def git_repository(
    copy_repository: Callable[[Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
    clean_environment: dict[str, str],
) -> Path:
    """A git repository with one commit, made of this one's tracked files."""
    folder = copy_repository(tmp_path_factory.mktemp("origin") / "paceline")
    for command in (["init", "--quiet", "--initial-branch=main"], ["add", "--all"], ["commit", "--quiet", "-m", "One"]):
        run(["git", *command], folder, clean_environment)
    return folder


class TestInvocation:
    """Each way to name the template, through the command line."""

    @pytest.mark.parametrize(
        ("folder", "arguments"),
        [
            ("elsewhere", ["ROOT", "--directory", "templates/NAME"]),
            ("elsewhere", ["ROOT/templates/NAME"]),
            ("root", [".", "--directory", "templates/NAME"]),
            ("root", ["./templates/NAME"]),
            ("root", ["templates/NAME/"]),
            ("template", ["."]),
        ],
    )
    def test_local_path(
        self,
        folder: str,
        arguments: list[str],
        repository: Path,
        template: str,
        project: Path,
        tmp_path: Path,
        clean_environment: dict[str, str],
    ) -> None:
        """Absolute, relative, `.` and --directory give the same files."""
        here = repository / "templates" / template
        working_folder = {"elsewhere": tmp_path, "root": repository, "template": here}[folder]
        arguments = [argument.replace("ROOT", str(repository)).replace("NAME", template) for argument in arguments]
        command = [
            sys.executable,
            "-m",
            "cookiecutter",
            "--no-input",
            "--output-dir",
            str(tmp_path / "out"),
            *arguments,
        ]
        run(command, working_folder, clean_environment)
        assert contents(project) == contents(tmp_path / "out" / template)

    @pytest.mark.parametrize(("folder", "address"), [("elsewhere", "ROOT"), ("root", "."), ("template", "../..")])
    def test_menu(
        self,
        folder: str,
        address: str,
        repository: Path,
        template: str,
        project: Path,
        tmp_path: Path,
        clean_environment: dict[str, str],
    ) -> None:
        """The root's menu leads to every template; without an answer it takes the first."""
        here = repository / "templates" / template
        working_folder = {"elsewhere": tmp_path, "root": repository, "template": here}[folder]
        number = list(json.loads((repository / "cookiecutter.json").read_text())["templates"]).index(template) + 1
        command = [sys.executable, "-m", "cookiecutter", "--output-dir", str(tmp_path)]
        questions = len([name for name in context(here) if not name.startswith("_")])
        run(
            [*command, address.replace("ROOT", str(repository))],
            working_folder,
            clean_environment,
            answers=f"{number}\n" + "\n" * questions,
        )
        assert contents(project) == contents(tmp_path / template)

    def test_relative_output_in_the_working_folder(
        self, repository: Path, template: str, project: Path, tmp_path: Path, clean_environment: dict[str, str]
    ) -> None:
        """Without an output folder the project is made in the working folder."""
        chosen = [str(repository), "--directory", f"templates/{template}"]
        run([sys.executable, "-m", "cookiecutter", "--no-input", *chosen], tmp_path, clean_environment)
        assert contents(project) == contents(tmp_path / template)

    def test_git_address(
        self, git_repository: Path, template: str, project: Path, tmp_path: Path, clean_environment: dict[str, str]
    ) -> None:
        """A repository that Cookiecutter has to clone brings its library along."""
        chosen = [f"git+file://{git_repository}", "--directory", f"templates/{template}"]
        run([sys.executable, "-m", "cookiecutter", "--no-input", *chosen], tmp_path, clean_environment)
        assert contents(project) == contents(tmp_path / template)

    def test_zip_file(
        self,
        tracked: list[Path],
        repository: Path,
        template: str,
        project: Path,
        tmp_path: Path,
        clean_environment: dict[str, str],
    ) -> None:
        """A downloaded archive works like the repository."""
        archive = tmp_path / "paceline-main.zip"
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("paceline-main/", "")
            for name in tracked:
                file.write(repository / name, Path("paceline-main", name))
        chosen = [str(archive), "--directory", f"templates/{template}"]
        run([sys.executable, "-m", "cookiecutter", "--no-input", *chosen], tmp_path, clean_environment)
        assert contents(project) == contents(tmp_path / template)

    def test_cruft_creates_and_carries_a_library_fix_into_the_project(
        self, git_repository: Path, template: str, project: Path, tmp_path: Path, clean_environment: dict[str, str]
    ) -> None:
        """`cruft update` brings a change of the library, and keeps what the user has changed."""
        origin = shutil.copytree(git_repository, tmp_path / "origin")
        cruft = [sys.executable, "-m", "cruft"]
        create = ["create", str(origin), "--directory", f"templates/{template}", "--no-input"]
        run([*cruft, *create], tmp_path, clean_environment)
        made = tmp_path / template
        assert contents(project) == contents(made)

        config = made / "config.toml"
        config.write_text(config.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
        for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "Mine"]):
            run(["git", *command], made, clean_environment)
        errors = origin / "shared" / "paceline" / "errors.py"
        errors.write_text(errors.read_text(encoding="utf-8") + "\nFIXED = True\n", encoding="utf-8")
        run(["git", "commit", "--quiet", "--all", "-m", "Two"], origin, clean_environment)

        run([*cruft, "update", "--skip-apply-ask"], made, clean_environment)
        assert errors.read_bytes() == (made / "shared" / "paceline" / "errors.py").read_bytes()
        assert config.read_text(encoding="utf-8").endswith("# mine\n")
        assert (project / "shared" / "paceline.json").read_bytes() != (made / "shared" / "paceline.json").read_bytes()
        assert not list(made.rglob("*.rej"))


class TestContents:
    """What is in a generated project."""

    def test_files_are_those_of_the_template_and_the_library(
        self, tracked: list[Path], source: Path, project: Path
    ) -> None:
        """The template's tracked files, the library's tracked files and the record beside them: nothing else."""
        expected = {file.relative_to(source).as_posix() for file in tracked if file.is_relative_to(source)}
        expected |= {file.as_posix() for file in tracked if file.is_relative_to("shared/paceline")}
        expected |= {"shared/paceline.json"}
        assert expected == set(contents(project))

    def test_every_file_but_three_is_copied_byte_for_byte(
        self, tracked: list[Path], repository: Path, source: Path, project: Path
    ) -> None:
        """Python, configuration, locks and workflow are the template's own bytes."""
        sources = {file.relative_to(source).as_posix() for file in tracked if file.is_relative_to(source)} - RENDERED
        assert [] == [
            name
            for name in sorted(sources)
            if (repository / source / name).read_bytes() != (project / name).read_bytes()
        ]

    def test_every_file_but_three_is_declared_as_not_rendered(
        self, tracked: list[Path], repository: Path, source: Path
    ) -> None:
        """Equal bytes are no accident of a file without Jinja: `_copy_without_render` names each, by file globs."""
        patterns = context(repository / source.parent)["_copy_without_render"]
        names = {file.relative_to(source).as_posix() for file in tracked if file.is_relative_to(source)}
        assert RENDERED == {name for name in names if not any(fnmatch(name, pattern) for pattern in patterns)}
        folders = {parent.as_posix() for name in names for parent in Path(name).parents}
        assert not {folder for folder in folders for pattern in patterns if fnmatch(folder, pattern)}

    def test_caches_left_in_the_template_are_neither_rendered_nor_kept(
        self, template: str, source: Path, generate: Generate, copy_repository: Callable[[Path], Path], tmp_path: Path
    ) -> None:
        """What linters, tests and Python leave there can be any bytes; a clone once worked in generates the same."""
        clone = copy_repository(tmp_path / "clone")
        for folder in (".ruff_cache", ".pytest_cache/v", ".hypothesis", "src/__pycache__", ".mypy_cache"):
            junk = clone / source / folder / "entry"
            junk.parent.mkdir(parents=True)
            junk.write_bytes(b"text {{ nothing }} and a stray byte \x8a")
        made = generate(tmp_path / "made", template=clone / "templates" / template)
        assert [] == [name for name in contents(made) if name.endswith("entry")]

    def test_library_is_copied_byte_for_byte(self, tracked: list[Path], repository: Path, project: Path) -> None:
        """The copy is the library, also where git or an editor would like to change line ends."""
        library = [file for file in tracked if file.is_relative_to("shared/paceline")]
        assert Path("shared/paceline/__init__.py") in library
        assert [] == [file for file in library if (repository / file).read_bytes() != (project / file).read_bytes()]

    def test_no_jinja_is_left(self, project: Path) -> None:
        """No delimiter and no variable of the template's; GitHub's own `${{ }}` is none of ours."""
        left = re.compile(r"(?<!\$)\{\{|\{%|\{#|cookiecutter\.\w")
        files = {name: data for name, data in contents(project).items() if not name.startswith("shared/paceline/")}
        assert [] == [name for name, data in files.items() if not name.endswith(".py") and left.search(data.decode())]

    def test_toml_and_yaml_parse(self, tracked: list[Path], source: Path, project: Path) -> None:
        """Every TOML and YAML file in the project is one."""
        parsed = [tomllib.loads(file.read_text(encoding="utf-8")) for file in project.rglob("*.toml")]
        parsed += [yaml.safe_load(file.read_text(encoding="utf-8")) for file in project.rglob("*.y*ml")]
        kinds = (".toml", ".yml", ".yaml")
        owned = [file for file in tracked if file.is_relative_to(source) or file.is_relative_to("shared/paceline")]
        sources = [file for file in owned if file.suffix in kinds]
        assert len(sources) == len(parsed) >= 3
        assert all(parsed)

    def test_menu_names_every_template(self, repository: Path) -> None:
        """The root's menu and the folder `templates` agree."""
        menu = json.loads((repository / "cookiecutter.json").read_text(encoding="utf-8"))["templates"]
        folders = {file.parent.name for file in (repository / "templates").glob("*/cookiecutter.json")}
        assert folders == set(menu)
        assert {name: f"./templates/{name}" for name in menu} == {name: entry["path"] for name, entry in menu.items()}

    def test_at_most_seven_questions_each_with_a_text(self, repository: Path, source: Path) -> None:
        """Nobody is asked for a variable by its name."""
        asked = context(repository / source.parent)
        questions = [name for name in asked if not name.startswith("_")]
        assert len(questions) <= 7
        assert questions == list(asked["__prompts__"])

    def test_wheel_holds_the_two_packages(
        self, template: str, project: Path, tmp_path: Path, clean_environment: dict[str, str]
    ) -> None:
        """One wheel of the project's package and the library, and no dependency of the library's name."""
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
        run(command, shutil.copytree(project, tmp_path / "copy"), clean_environment)
        package = template.replace("-", "_")
        with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
            names = wheel.namelist()
            metadata = wheel.read(f"{package}-0.1.0.dist-info/METADATA").decode()
        assert {package, "paceline", f"{package}-0.1.0.dist-info"} == {name.split("/")[0] for name in names}
        assert {name for name in names if name.endswith(".py")} == {
            file.relative_to(project / folder).as_posix()
            for folder in ("src", "shared")
            for file in (project / folder).rglob("*.py")
        }
        assert not re.search(r"^Requires-Dist: paceline", metadata, flags=re.MULTILINE)


ODD_TEXTS = [
    'say "quoted" and \'single\' and """three"""',
    r"back\slash \n \u0041 \\ end\\",
    "emoji \N{ROCKET} and \N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}, Zürich, 北京, \N{ARABIC LETTER ALEF}",
    "<script>alert(1)</script> & <b>",
    "$HOME `id` $(id) %PATH% ${X}",
    "[link](javascript:x) *bold* # heading | cell",
    "name = 1 ] # comment",
]


class TestAnswers:
    """Answers that people give, and answers that nobody should."""

    @pytest.mark.parametrize("text", ODD_TEXTS)
    def test_odd_text_stands_in_the_project_as_it_was_given(
        self, text: str, repository: Path, template: str, generate: Generate, tmp_path: Path
    ) -> None:
        """Quotes, backslashes, emoji and markup reach the metadata unchanged, and the build backend accepts it."""
        answers = {"project_name": text, "description": text, "author": text, "project_slug": "odd"}
        made = generate(tmp_path, answers, template=repository / "templates" / template)
        metadata = ProjectMetadata(str(made), PluginManager())
        metadata.validate_fields()
        assert text == metadata.core.description
        assert [text] == [author["name"] for author in metadata.core.authors]
        assert "odd" == metadata.core.name
        heading, paragraph = [
            token
            for token in MarkdownIt().parse((made / "README.md").read_text(encoding="utf-8"))
            if token.type == "inline"
        ][:2]
        assert ["text", "text"] == [child.type for token in (heading, paragraph) for child in merged(token)]
        assert [text, text] == [child.content for token in (heading, paragraph) for child in merged(token)]

    @pytest.mark.parametrize(
        ("name", "slug"),
        [
            ("Card Fraud 2", "card-fraud-2"),
            ("  Fraud -- Détection!  ", "fraud-detection"),
            ("\N{ROCKET}", "fraud-detection"),
            ("UPPER_case.name", "upper-case-name"),
        ],
    )
    def test_slug_follows_from_the_name(self, name: str, slug: str, generate: Generate, tmp_path: Path) -> None:
        """Whoever only types a name gets a valid folder and distribution."""
        assert slug == generate(tmp_path, {"project_name": name}).name

    @pytest.mark.parametrize(
        ("licence", "expression", "words"),
        [
            ("Apache-2.0", "Apache-2.0", "Apache License"),
            ("MIT", "MIT", "Permission is hereby granted"),
            ("BSD-3-Clause", "BSD-3-Clause", "Redistribution and use"),
            ("Proprietary", "LicenseRef-Proprietary", "Copyright (c) Ada & Co. All rights reserved."),
        ],
    )
    def test_licence(self, licence: str, expression: str, words: str, generate: Generate, tmp_path: Path) -> None:
        """The text and the metadata are those of the choice; the library's own licence is named beside another."""
        made = generate(tmp_path, {"license": licence, "author": "Ada & Co"})
        metadata = ProjectMetadata(str(made), PluginManager())
        assert expression == metadata.core.license_expression
        text = (made / "LICENSE").read_text(encoding="utf-8")
        assert words in text
        assert "Apache License" in text
        assert ("Ada & Co" in text) == (licence != "Apache-2.0")
