"""Checkpoints: whole or absent, verified, the last two kept."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paceline import atomic, checkpoint
from paceline.errors import PacelineError

FILES = {"booster.ubj": bytes(range(256)), "course.json": b'{"step": 20}'}


class Killed(BaseException):
    """What a test raises where a process would be killed."""


def steps(folder: Path) -> list[str]:
    """Return what lies in the folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stage's folder with whole checkpoints of the steps 10 and 20."""
    for step in (10, 20):
        checkpoint.save(tmp_path / "select", step, {**FILES, "step": str(step).encode()})
    return tmp_path / "select"


def test_the_newest_is_found_as_it_was_saved(folder: Path) -> None:
    """Every file comes back with its bytes, and nothing was passed over."""
    found, damaged = checkpoint.latest(folder)
    assert found is not None
    assert (20, {**FILES, "step": b"20"}, []) == (found.step, dict(found.files), damaged)


def test_where_there_is_none_there_is_none(tmp_path: Path) -> None:
    """A folder without a checkpoint, or no folder, is a beginning."""
    assert (None, []) == checkpoint.latest(tmp_path)
    assert (None, []) == checkpoint.latest(tmp_path / "absent")


def test_two_are_kept(folder: Path) -> None:
    """The newest and the one before it, by number and not by text."""
    for step in (30, 100_000_000):
        checkpoint.save(folder, step, FILES)
    assert ["00000030", "100000000"] == steps(folder)
    found, _ = checkpoint.latest(folder)
    assert found is not None
    assert 100_000_000 == found.step


def test_saving_a_step_again_replaces_it(folder: Path) -> None:
    """The later content counts, files that it lacks are gone."""
    checkpoint.save(folder, 20, {"only": b"this"})
    found, _ = checkpoint.latest(folder)
    assert found is not None
    assert {"only": b"this"} == dict(found.files)
    assert ["00000010", "00000020"] == steps(folder)


def passed_over(folder: Path) -> list[str]:
    """Assert that the checkpoint of step 10 is used instead of a damaged 20; return what is said about it."""
    found, damaged = checkpoint.latest(folder)
    assert found is not None
    assert (10, b"10") == (found.step, found.files["step"])
    assert 1 == len(damaged)
    assert damaged[0].startswith("The checkpoint '00000020' is damaged: ")
    assert damaged[0].endswith(". It is passed over.")
    assert "\n" not in damaged[0]
    return damaged


@pytest.mark.parametrize("name", ["booster.ubj", "course.json", "step", "manifest.json"])
def test_a_flipped_bit_is_noticed(folder: Path, name: str) -> None:
    """Wherever in whichever file a bit flips, the checkpoint is passed over for the earlier one."""
    path = folder / "00000020" / name
    whole = path.read_bytes()
    bits = np.random.default_rng(0).permutation(len(whole) * 8)[:150]
    for bit in bits.tolist():
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        passed_over(folder)
    path.write_bytes(whole)
    assert 20 == getattr(checkpoint.latest(folder)[0], "step", None)


@pytest.mark.parametrize("name", ["booster.ubj", "course.json", "step", "manifest.json"])
@pytest.mark.parametrize("bytes_left", [0, 1, -1])
def test_a_truncated_file_is_noticed(folder: Path, name: str, bytes_left: int) -> None:
    """A file cut off anywhere, to nothing included."""
    path = folder / "00000020" / name
    whole = path.read_bytes()
    path.write_bytes(whole[:bytes_left])
    if name == "manifest.json" and bytes_left == -1:  # the line's end: no content is lost
        assert 20 == getattr(checkpoint.latest(folder)[0], "step", None)
    else:
        passed_over(folder)


@pytest.mark.parametrize("name", ["booster.ubj", "manifest.json"])
def test_a_missing_file_is_noticed(folder: Path, name: str) -> None:
    """A file that is gone, or a folder in its place."""
    path = folder / "00000020" / name
    path.unlink()
    passed_over(folder)
    path.mkdir()
    passed_over(folder)


@pytest.mark.parametrize(
    "manifest", ["[]", "{}", '{"step": 20}', '{"step": 20, "files": []}', '{"step": "x", "files": {}}', "null"]
)
def test_a_manifest_of_another_form_is_noticed(folder: Path, manifest: str) -> None:
    """Valid JSON that is no manifest is no crash."""
    (folder / "00000020" / "manifest.json").write_text(manifest)
    passed_over(folder)


def test_a_checkpoint_under_another_step_is_noticed(folder: Path) -> None:
    """A folder renamed by hand is not taken for a later step."""
    (folder / "00000020").rename(folder / "00000099")
    found, damaged = checkpoint.latest(folder)
    assert found is not None
    assert 10 == found.step
    assert ["The checkpoint '00000099' is damaged: its manifest does not fit its files. It is passed over."] == damaged


def test_when_all_are_damaged_each_is_named(folder: Path) -> None:
    """Training begins anew, and the reader learns why."""
    for step in ("00000010", "00000020"):
        (folder / step / "course.json").write_bytes(b"")
    found, damaged = checkpoint.latest(folder)
    assert found is None
    assert ["00000020", "00000010"] == [sentence.split("'")[1] for sentence in damaged]


def test_going_on_before_a_damaged_one_drops_it(folder: Path) -> None:
    """The damaged step does not count among the two that are kept: both that are left are whole."""
    checkpoint.save(folder, 90, FILES)
    (folder / "00000090" / "course.json").write_bytes(b"")
    checkpoint.save(folder, 30, FILES)  # training went on from 20
    assert ["00000020", "00000030"] == steps(folder)


@pytest.mark.parametrize("calls_before", range(10))
@pytest.mark.parametrize("again", [False, True])
def test_a_crash_at_any_sync_leaves_the_earlier_ones(
    folder: Path, calls_before: int, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at whichever sync of a save, the newest whole checkpoint is the new one or that before, never neither."""
    left = [calls_before]
    fsync = os.fsync

    def killing(descriptor: int) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", killing)
        with suppress(Killed):  # after the last of them there is nothing left to be killed at
            checkpoint.save(folder, 20 if again else 30, {**FILES, "step": b"new"})
    found, damaged = checkpoint.latest(folder)
    assert found is not None
    assert [] == damaged
    assert found.files["step"] in ((b"20", b"new") if found.step >= 20 else (b"10",))
    checkpoint.save(folder, 40, FILES)
    assert 2 == len(steps(folder)), "what the killed process left is cleared away"


def test_a_crash_at_the_rename_leaves_the_earlier_ones(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything written but not yet named is not there."""

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(Killed):
            checkpoint.save(folder, 30, FILES)
    found, damaged = checkpoint.latest(folder)
    assert found is not None
    assert (20, []) == (found.step, damaged)


@pytest.mark.parametrize("renames_before", [0, 1])
def test_a_crash_while_a_step_is_replaced_loses_neither_checkpoint(
    folder: Path, renames_before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the old content and the new, the step is there as it was, and so is the one before it."""
    left = [renames_before]
    rename = Path.rename

    def killing(path: Path, target: Path) -> Path:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killing)
        with pytest.raises(Killed):
            checkpoint.save(folder, 20, {**FILES, "step": b"new"})
    found, damaged = checkpoint.latest(folder)
    assert found is not None
    assert (20, b"20", []) == (found.step, found.files["step"], damaged)
    checkpoint.save(folder, 20, {**FILES, "step": b"new"})
    assert ["00000010", "00000020"] == steps(folder), "what the killed process left is cleared away"


def test_a_verified_file_is_read_only_with_its_checksum(tmp_path: Path) -> None:
    """The bytes come out for the right checksum alone."""
    path = tmp_path / "model.ubj"
    path.write_bytes(b"trees")
    assert b"trees" == checkpoint.read_verified(path, atomic.sha256(b"trees"))
    with pytest.raises(PacelineError, match=r"^'model.ubj' does not match its checksum\. It was damaged or changed"):
        checkpoint.read_verified(path, atomic.sha256(b"other"))
    with pytest.raises(FileNotFoundError):
        checkpoint.read_verified(tmp_path / "absent", "")
