"""Checkpoints that are whole or absent: written aside, synced, renamed; a checksum is verified before any parsing.

A checkpoint is a folder `checkpoints/<stage>/<step>/` with the files of one moment of training and a `manifest.json`
that holds their sizes and SHA-256. The newest two are kept, so a damaged one costs an interval, not the run.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from paceline import atomic
from paceline.errors import PacelineError

KEPT = 2
LONG_EPOCH_SECONDS = 1.0  # every epoch from this on is saved, whatever saving it takes
COST_SHARE = 0.01  # of the time since the last one that the writing of a checkpoint may take of a processor
ASIDE = ".aside.tmp"  # ends the name of a step that is being replaced


@dataclass(frozen=True)
class Checkpoint:
    """One verified moment of training: its step and its files' contents."""

    step: int
    files: Mapping[str, bytes]


def due_after(every_seconds: float, *, epoch_seconds: float, writing_seconds: float | None) -> float:
    """Return how many seconds after the last checkpoint the end of an epoch is to be saved.

    Every epoch is, so that a kill costs one at most, but for those shorter than a second and than a hundred times the
    processor time of writing a checkpoint, which would take more than a hundredth of the training: of these a kill
    costs what was done in that time, a second at most, and the epoch in which it ends. A network whose checkpoint takes
    4 ms so has 0.4 seconds and an epoch to lose.

    Args:
        every_seconds: the most, as configured.
        epoch_seconds: what the epoch took that has ended.
        writing_seconds: the processor time of writing a checkpoint; None before there is any.

    >>> due_after(30, epoch_seconds=1, writing_seconds=0.5), due_after(30, epoch_seconds=0.2, writing_seconds=0.004)
    (0.0, 0.4)
    """
    if epoch_seconds >= LONG_EPOCH_SECONDS or writing_seconds is None:
        return 0.0
    return min(every_seconds, LONG_EPOCH_SECONDS, writing_seconds / COST_SHARE)


def save(folder: Path, step: int, files: Mapping[str, bytes]) -> Path:
    """Write `files` as the checkpoint of `step` below `folder`, then drop all but this one and the one before it.

    The checkpoint appears under its name only when it is complete and on the disk: a crash at any moment leaves the
    earlier ones as they were. Saving a step again replaces it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _put_back(folder)
    final = folder / f"{step:08d}"
    temporary = folder / f".{final.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    manifest = {name: {"bytes": len(data), "sha256": atomic.sha256(data)} for name, data in files.items()}
    for name, data in files.items():
        atomic.write_bytes(temporary / name, data)
    atomic.write_json(temporary / "manifest.json", {"step": step, "files": manifest})
    if final.exists():  # aside until the new one has its name: a folder cannot be replaced in one go
        final.rename(folder / f".{final.name}{ASIDE}")
    temporary.rename(final)
    atomic.sync_folder(folder)
    # A later step is a damaged one that training went on before; a temporary one is of a process that was killed.
    steps = _steps(folder)
    here = steps.index(final)
    for obsolete in [*steps[: max(0, here + 1 - KEPT)], *steps[here + 1 :], *folder.glob(".*.tmp")]:
        shutil.rmtree(obsolete, ignore_errors=True)
    return final


def latest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest checkpoint below `folder` whose files match their checksums, and what was passed over.

    Returns:
        The checkpoint, None where there is no whole one; and a sentence for each damaged one.
    """
    damaged: list[str] = []
    _put_back(folder)
    for path in reversed(_steps(folder)):
        try:
            return _read(path), damaged
        except PacelineError as error:
            damaged.append(str(error))
    return None, damaged


def _read(path: Path) -> Checkpoint:
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        files = {name: read_verified(path / name, str(entry["sha256"])) for name, entry in manifest["files"].items()}
        sizes = {name: len(data) for name, data in files.items()}
        if manifest["step"] != int(path.name) or {n: e["bytes"] for n, e in manifest["files"].items()} != sizes:
            raise ValueError("its manifest does not fit its files")
        return Checkpoint(manifest["step"], files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, PacelineError) as error:
        cause = error.cause.rstrip(".") if isinstance(error, PacelineError) else str(error)
        raise PacelineError(f"The checkpoint '{path.name}' is damaged: {cause}.", "It is passed over.") from None


def read_verified(path: Path, sha256: str) -> bytes:
    """Return the bytes of `path` when they have this SHA-256, so that no parser meets a damaged file.

    Raises:
        PacelineError: the file has other content.
        OSError: the file cannot be read.
    """
    data = path.read_bytes()
    if atomic.sha256(data) != sha256:
        raise PacelineError(
            f"'{path.name}' does not match its checksum.", "It was damaged or changed; use another run."
        )
    return data


def _put_back(folder: Path) -> None:
    """Give a step that was being replaced when its process was killed its name again, where no other has it."""
    for aside in folder.glob(f".*{ASIDE}"):
        final = folder / aside.name.removeprefix(".").removesuffix(ASIDE)
        if final.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.rename(final)


def _steps(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[0-9]*") if path.is_dir() and path.name.isdigit())
