"""Which library this is: its version, and whether it is as it came.

A generated project carries a copy of the library, and a file beside the copy says what was copied. Changing the copy
is the user's right; `describe` only tells. The hook that makes the copy uses this module too, so it needs the standard
library alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path


def files(folder: Path) -> list[Path]:
    """Return the library's files in `folder`, relative to it and sorted: nothing hidden, no cache, no backup."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
        kept = [
            name
            for name in names
            if not name.startswith(".") and not name.endswith((".pyc", ".pyo", "~", ".orig", ".rej"))
        ]
        found += [Path(parent, name).relative_to(folder) for name in kept]
    return sorted(found, key=Path.as_posix)


def fingerprint(folder: Path) -> str:
    """Return the SHA-256 over names and contents of `files(folder)`, the same whatever line ends a checkout has."""
    digest = hashlib.sha256()
    for file in files(folder):
        content = (folder / file).read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{file.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def describe(folder: Path | None = None) -> str:
    """Return the library's version and whether it was changed since it was copied into the project.

    Args:
        folder: where the library is; this one by default. The record is the file `<folder>.json` beside it.

    Returns:
        `paceline 0.1.0` as it came, `paceline 0.1.0, modified here` when a file differs, and only the version where
        there is no record: in the library's own repository, or installed from a wheel.
    """
    from paceline import __version__

    folder = Path(__file__).parent if folder is None else folder
    try:
        record = json.loads(folder.with_name(f"{folder.name}.json").read_text(encoding="utf-8"))
        version, recorded = str(record["version"]), str(record["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"paceline {__version__}"
    changed = recorded != fingerprint(folder)
    return f"paceline {version}, modified here" if changed else f"paceline {version}"
