"""Names for people and files that can be shown: salted ids, and the private map that leads back from them.

File and folder names of medical data often hold a patient's name or number, so none of them is ever printed, logged or
kept in a run. What stands there instead is an HMAC of the name with a random salt. Salt and map lie beside the data, in
`<data>.private/`, for their owner alone: `ids.csv` says which file an id means, `sites.csv` which site.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from paceline import cache, lock

SUFFIX = ".private"  # of the folder beside the data
ID_CHARACTERS = 12  # 48 bits: two of a million files share one with a chance of 1 in 500
SALT_BYTES = 32


@dataclass(frozen=True)
class Ids:
    """Makes ids from names by a salt; equal names have equal ids, and nothing leads back without the salt.

    >>> ids = Ids(b"salt")
    >>> ids.item("Smith/IM1.dcm") == ids.item("Smith/IM1.dcm") != ids.item("Smith/IM2.dcm")
    True
    """

    salt: bytes

    def item(self, name: str) -> str:
        """Return the id of a file, given its path below the data's folder."""
        return self._id("item", name)

    def patient(self, identity: str) -> str:
        """Return the id of a patient."""
        return self._id("patient", identity)

    def site(self, name: str) -> str:
        """Return the id of a hospital."""
        return self._id("site", name)

    def _id(self, kind: str, text: str) -> str:
        return hmac.new(self.salt, f"{kind}:{text}".encode(), hashlib.sha256).hexdigest()[:ID_CHARACTERS]


def folder(data: Path) -> Path:
    """Return where salt and map of the data at `data` lie; it is made, readable for its owner alone.

    That is beside the data, or in the cache where nothing can be written there.
    """
    data = data.resolve()
    beside = data.parent / f"{data.name}{SUFFIX}"
    try:
        beside.mkdir(mode=0o700, exist_ok=True)
        if os.access(beside, os.W_OK):
            return beside
    except OSError:
        pass
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:24]
    inside = cache.folder() / "private" / name
    inside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    inside.mkdir(mode=0o700, exist_ok=True)
    return inside


def ids_of(place: Path) -> Ids:
    """Return the ids by the salt in the private folder `place`, drawn now if there is none."""
    file = place / "salt"
    with suppress(FileNotFoundError):
        return Ids(file.read_bytes())
    with suppress(FileExistsError):  # another process was first
        _write_private(file, secrets.token_bytes(SALT_BYTES), os.O_EXCL)
    return Ids(file.read_bytes())


def extend_map(place: Path, rows: Iterable[tuple[str, str, str]]) -> Path:
    """Note which file and patient each id stands for, beside what was noted before, which stays.

    Args:
        place: the private folder.
        rows: item id, path below the data's folder, patient; one without a patient keeps the patient that is known.

    Returns:
        The file, `ids.csv`.
    """
    file = place / "ids.csv"
    with lock.wait(place):
        known: dict[str, tuple[str, str]] = {}
        with suppress(FileNotFoundError), file.open(encoding="utf-8", newline="") as opened:
            known = {item: (name, patient) for item, name, patient in list(csv.reader(opened))[1:]}
        for item, name, patient in rows:
            known[item] = (name, patient or known.get(item, ("", ""))[1])
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(("item", "file", "patient"))
        writer.writerows((item, *entry) for item, entry in known.items())
        part = place / f".ids.{os.getpid()}.part"
        _write_private(part, text.getvalue().encode(), os.O_TRUNC)
        part.replace(file)
    return file


def note_sites(place: Path, ids: Ids, names: Iterable[str]) -> Path:
    """Write which site each id of the last copies stands for, to `sites.csv` in the private folder `place`."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("id", "site"), *((ids.site(name), name) for name in sorted(set(names) - {""}))])
    _write_private(place / "sites.csv", text.getvalue().encode(), os.O_TRUNC)
    return place / "sites.csv"


def _write_private(file: Path, content: bytes, flag: int) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | flag, 0o600), "wb") as opened:
        opened.write(content)
