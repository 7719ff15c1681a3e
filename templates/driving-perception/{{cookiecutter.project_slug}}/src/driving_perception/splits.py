"""How sequences divide the frames: no sequence is in two splits, for its frames look alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driving_perception.config import Data
from driving_perception.data import Scenes
from paceline.errors import PacelineError

Rows = NDArray[np.int64]
CUT = ("camvid", "comma10k", "tusimple")  # data sets whose published splits have frames of one sequence in two
FEWEST_FOR_VALIDATION = 4  # of fewer sequences a whole one is too much to give away


@dataclass(frozen=True)
class Split:
    """The frames' numbers in `Scenes`, in its order.

    Attributes:
        train: to learn from.
        validation: to choose by.
        test: to judge by.
        rule: how they came about.
        warnings: sentences that a reader of the scores must see.
    """

    train: Rows
    validation: Rows
    test: Rows
    rule: str = ""
    warnings: tuple[str, ...] = ()

    def parts(self) -> dict[str, Rows]:
        """Return the frames' numbers by the split's name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def divide(scenes: Scenes, config: Data, seed: int) -> Split:
    """Return the split of `config`, the same for the same sequences and `seed`.

    With `test_sequence`, that one is the test. Else the data set's own splits are taken as they are; where it publishes
    two, `val` is the test, for its test has no labels, and validation is drawn from `train`. Else sequences are drawn
    by share. Where fewer than four sequences are left to draw validation from, it is the last `validation_share` of
    each, and a warning says so; another one says where the published splits of `CUT` share sequences.

    Raises:
        PacelineError: there is no such sequence, or a split would be empty or share a sequence with another.
    """
    rng = np.random.default_rng(seed)
    everything = np.arange(len(scenes.sequences), dtype=np.int64)
    official = _official(scenes) if scenes.official is not None and not config.test_sequence else {}
    if config.test_sequence:
        rule = f"sequence {config.test_sequence} is left out"
        test = _of(scenes, everything, [config.test_sequence])
        if not len(test):
            known = sorted(set(scenes.sequences.tolist()))
            raise PacelineError(
                f"data.test_sequence is '{config.test_sequence}', and no frame is of it.",
                f"There are {len(known)}: {', '.join(known[:10])}{', …' if len(known) > 10 else ''}.",
            )
    elif "train" in official and len(official) > 1:
        rule = "as published"
        test = official.get("test", official.get("val", everything[:0]))
    else:
        rule = "sequences by share"
        test = _drawn(scenes, everything, config.test_share, rng)
    warnings: list[str] = []
    if len(official) == 3:
        train, validation = official["train"], official["val"]
    else:
        rest = official["train"] if rule == "as published" else np.setdiff1d(everything, test)
        if len(set(scenes.sequences[rest].tolist())) >= FEWEST_FOR_VALIDATION:
            validation = _drawn(scenes, rest, config.validation_share, rng)
        else:
            validation = _tails(scenes, rest, config.validation_share)
            warnings.append(
                "Validation is the end of each training sequence, for there are few: it serves to choose, not to judge."
            )
        train = np.setdiff1d(rest, validation)
    split = Split(train, validation, test, rule)
    shared = _checked(scenes, split, allowed=bool(warnings), cut=rule == "as published" and config.source in CUT)
    return Split(train, validation, test, rule, (*warnings, *shared))


def _official(scenes: Scenes) -> dict[str, Rows]:
    """Return the rows of each published split."""
    found = {name: np.flatnonzero(scenes.official == name) for name in ("train", "val", "test")}
    return {name: rows for name, rows in found.items() if len(rows)}


def _drawn(scenes: Scenes, rows: Rows, share: float, rng: np.random.Generator) -> Rows:
    """Return the frames of sequences drawn at random until their share of `rows` comes no nearer to `share`."""
    names, counts = np.unique(scenes.sequences[rows].astype(str), return_counts=True)
    wanted, taken = share * len(rows), 0
    chosen: list[str] = []
    for place in rng.permutation(len(names)):
        if len(chosen) < len(names) - 1 and abs(taken + counts[place] - wanted) < abs(taken - wanted):
            chosen.append(str(names[place]))
            taken += int(counts[place])
    if not chosen and len(names) > 1:
        chosen = [str(names[np.argmin(counts)])]
    return _of(scenes, rows, chosen)


def _tails(scenes: Scenes, rows: Rows, share: float) -> Rows:
    """Return the last `share` of the frames of each sequence, a frame at least where it has two."""
    found = []
    for name in sorted(set(scenes.sequences[rows].tolist())):
        frames = sorted(_of(scenes, rows, [name]), key=lambda row: scenes.names[row].rpartition("/")[2])
        count = min(len(frames) - 1, max(1, round(share * len(frames))))
        found += frames[len(frames) - count :]
    return np.array(sorted(found), np.int64)


def _of(scenes: Scenes, rows: Rows, names: Sequence[str]) -> Rows:
    return rows[np.isin(scenes.sequences[rows].astype(str), list(names))]


def _checked(scenes: Scenes, split: Split, *, allowed: bool, cut: bool) -> list[str]:
    """Return a warning for each pair of splits that share sequences, where the data set is published so."""
    parts = split.parts()
    for name, rows in parts.items():
        if not len(rows):
            count = len(set(scenes.sequences.tolist()))
            raise PacelineError(
                f"The {name} split would be empty: there are {len(scenes.names)} frames of {count} sequences.",
                "Add frames, choose another data.test_sequence or shares, or tell sequences by data.sequence_pattern.",
            )
    warnings = []
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        overlap = np.intersect1d(parts[one], parts[other])
        shared = sorted(set(scenes.sequences[parts[one]].tolist()) & set(scenes.sequences[parts[other]].tolist()))
        if len(overlap) or (shared and not cut and not (allowed and other == "validation")):
            raise PacelineError(
                f"The splits {one} and {other} share {len(overlap)} frames and {len(shared)} sequences: "
                f"{', '.join(shared[:5])}.",
                "Move each sequence into one split, tell sequences apart by data.sequence_pattern, or leave one out as "
                "the test by data.test_sequence.",
            )
        if shared and cut and not (allowed and (one, other) == ("train", "validation")):
            warnings.append(
                f"The published splits {one} and {other} share {len(shared)} sequences ({', '.join(shared[:5])}): "
                "scores there are too good. data.test_sequence leaves one out."
            )
    return warnings
