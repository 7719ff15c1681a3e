"""The library knows its version and whether it was changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import paceline
from paceline import origin


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A small library with a record of what it was, as the hook leaves one."""
    folder = tmp_path / "paceline"
    (folder / "report").mkdir(parents=True)
    (folder / "__init__.py").write_bytes(b"a = 1\nb = 2\n")
    (folder / "report" / "page.html").write_bytes(b"<p>\n")
    record = {"version": "1.2.3", "sha256": origin.fingerprint(folder)}
    (tmp_path / "paceline.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def test_untouched_copy_has_its_version(library: Path) -> None:
    """As it came."""
    assert origin.describe(library) == "paceline 1.2.3"


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename", "move a byte"])
def test_any_change_is_told(library: Path, change: str) -> None:
    """Edited, added, removed and renamed files count, and so does content that moves from one file to another."""
    first, page = library / "__init__.py", library / "report" / "page.html"
    if change == "edit":
        first.write_bytes(b"a = 2\nb = 2\n")
    elif change == "add":
        (library / "more.py").touch()
    elif change == "remove":
        page.unlink()
    elif change == "rename":
        page.rename(page.with_name("other.html"))
    else:
        first.write_bytes(first.read_bytes() + b"<")
        page.write_bytes(page.read_bytes()[1:])
    assert origin.describe(library) == "paceline 1.2.3, modified here"


def test_line_ends_and_caches_are_no_change(library: Path) -> None:
    """A checkout with other line ends, compiled files and an editor's backup leave the library as it came."""
    (library / "__init__.py").write_bytes(b"a = 1\r\nb = 2\r\n")
    (library / "__pycache__").mkdir()
    for junk in ("__pycache__/x.pyc", "report/page.html~", ".swp"):
        (library / junk).touch()
    assert origin.describe(library) == "paceline 1.2.3"
    assert [Path("__init__.py"), Path("report/page.html")] == origin.files(library)


@pytest.mark.parametrize("record", [None, "", "[]", "{}", '{"version": "1"}', "\xff"])
def test_without_a_readable_record_only_the_version_is_told(library: Path, record: str | None) -> None:
    """In the library's own repository, in a wheel, or with a damaged record there is nothing to compare with."""
    file = library.with_name("paceline.json")
    file.unlink()
    if record is not None:
        file.write_bytes(record.encode("latin-1"))
    assert f"paceline {paceline.__version__}" == origin.describe(library)


def test_own_repository_is_described() -> None:
    """Without arguments it is this library."""
    assert f"paceline {paceline.__version__}" == origin.describe()
