"""Gives the generated project its copy of the library.

The same file in every template. Standard library alone (and the library's own description of its files, which needs
no more); prints ASCII; can run twice, and then brings the copy up to date.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

# Rendered by Cookiecutter: the template's folder.
TEMPLATE = Path(
    json.loads(
        r"""
{{ getcwd() | tojson }}
"""
    )
)
JUNK = ("__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis")


def copy_library(source: Path, target: Path) -> None:
    """Make `target` an exact copy of the library in `source`, and write `target`.json, which says what was copied.

    Raises:
        FileNotFoundError: there is no library in `source`.
    """
    sys.dont_write_bytecode = True  # the template's folder stays as it is
    sys.path.insert(0, str(source.parent))
    from paceline import __version__, origin

    fresh, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    for file in origin.files(source):
        copy = fresh / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, copy)
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    stamp = {"version": __version__, "sha256": origin.fingerprint(target)}
    target.with_name(f"{target.name}.json").write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")


def sweep(project: Path) -> None:
    """Delete the caches that working on the template in place had left there and that were copied from it."""
    for folder, names, _ in os.walk(project):
        for name in [name for name in names if name in JUNK]:
            shutil.rmtree(Path(folder, name), ignore_errors=True)
        names[:] = [name for name in names if name not in JUNK and name not in (".venv", ".git", "runs")]


if __name__ == "__main__":
    library = TEMPLATE.parent.parent / "shared" / "paceline"
    if not (library / "__init__.py").is_file():
        print(f"ERROR: the library is missing: {ascii(str(library))[1:-1]}", file=sys.stderr)
        print("The templates need the whole repository: name it, and choose with --directory.", file=sys.stderr)
        sys.exit(1)
    copy_library(library, Path("shared", "paceline").absolute())
    sweep(Path.cwd())
