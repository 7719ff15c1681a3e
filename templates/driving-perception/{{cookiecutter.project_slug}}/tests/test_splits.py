"""Sequences stay whole; published splits are taken with a warning where they share sequences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from driving_perception import splits
from driving_perception.config import Data
from driving_perception.data import Scenes
from paceline.errors import PacelineError

Make = Callable[..., Scenes]


def sequences(found: Scenes, rows: np.ndarray) -> set[str]:
    """Return the sequences of these rows."""
    return set(found.sequences[rows].tolist())


def test_sequences_are_drawn_whole(scenes: Make) -> None:
    """Every frame is in one split, and no sequence in two."""
    found = scenes("".join(letter * 4 for letter in "abcdefghij"))
    split = splits.divide(found, Data(), seed=0)
    assert list(range(40)) == sorted(np.concatenate(list(split.parts().values())).tolist())
    parts = [sequences(found, rows) for rows in split.parts().values()]
    assert 10 == sum(len(part) for part in parts)
    assert 10 == len(set.union(*parts))
    assert 8 == len(split.test)
    assert () == split.warnings


def test_seed_draws_other_sequences(scenes: Make) -> None:
    """The same seed gives the same split, another one another."""
    found = scenes("".join(letter * 4 for letter in "abcdefghij"))
    tests = [splits.divide(found, Data(), seed=seed).test.tolist() for seed in (0, 0, 1)]
    assert tests[0] == tests[1] != tests[2]


def test_one_sequence_is_left_out(scenes: Make) -> None:
    """`test_sequence` is the test whatever is published; of few others validation is the end of each."""
    found = scenes("aaaaaaaaaabbbbbbbbbbcc", official=["train"] * 20 + ["val"] * 2)
    split = splits.divide(found, Data(test_sequence="b"), seed=0)
    assert ({"b"}, {"a", "c"}) == (sequences(found, split.test), sequences(found, split.train))
    assert [8, 9, 21] == split.validation.tolist()
    assert "Validation is the end of each training sequence" in split.warnings[0]


def test_published_splits_are_taken_with_a_warning(scenes: Make) -> None:
    """CamVid's `val` is a clip of a sequence that `train` holds: taken, and said."""
    found = scenes("aabbbc", official=["train", "train", "train", "val", "val", "test"])
    split = splits.divide(found, Data(source="camvid"), seed=0)
    assert ([0, 1, 2], [3, 4], [5]) == tuple(rows.tolist() for rows in split.parts().values())
    assert "train and validation share 1 sequences (b)" in split.warnings[0]


@pytest.mark.parametrize("official", [["train"] * 5 + ["val"] * 2, ["train"] * 4 + ["val", "test", "test"]])
def test_a_sequence_in_two_of_the_users_own_splits_is_refused(scenes: Make, official: list[str]) -> None:
    """Nobody has published them so: scores would be too good and stand for nothing."""
    found = scenes("aabbbcb", official=official)
    with pytest.raises(PacelineError, match=r"share 0 frames and 1 sequences: b"):
        splits.divide(found, Data(source="folders"), seed=0)


def test_published_validation_is_the_test_where_there_is_no_other(scenes: Make) -> None:
    """Cityscapes and BDD100K publish no labels of their test."""
    found = scenes("aabbccddee", official=["train"] * 8 + ["val"] * 2)
    split = splits.divide(found, Data(), seed=0)
    assert [8, 9] == split.test.tolist()
    assert sequences(found, split.train).isdisjoint(sequences(found, split.validation))


@pytest.mark.parametrize(
    ("letters", "config", "cause"),
    [
        ("aaaa", Data(), "split would be empty"),
        ("ab", Data(), "split would be empty"),
        ("aabb", Data(test_sequence="x"), "test_sequence is 'x', and no frame is of it"),
    ],
)
def test_a_split_that_would_be_empty_is_refused(scenes: Make, letters: str, config: Data, cause: str) -> None:
    """One sequence cannot be divided, and a sequence that is not there cannot be left out."""
    with pytest.raises(PacelineError, match=cause):
        splits.divide(scenes(letters), config, seed=0)
