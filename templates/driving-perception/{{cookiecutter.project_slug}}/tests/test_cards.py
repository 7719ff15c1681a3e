"""The cards say of the splits what is so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from driving_perception import cards, data, splits
from driving_perception.config import Config, Data
from driving_perception.data import Scenes
from paceline.quarantine import Quarantine

DISJOINT = "The test is of other sequences than training"


def record(scenes: Scenes, config: Data) -> dict[str, Any]:
    """Return what the cards need of a run on these scenes."""
    split = splits.divide(scenes, config, seed=0)
    audit = data.audit(scenes, split, Quarantine())
    return {"run": "r", "config": Config(data=config).model_dump(), "dataset": audit, "warnings": []}


@pytest.mark.parametrize(
    ("letters", "official", "config", "test_apart", "said"),
    [
        ("aabbccddeeff", None, {}, True, "have no sequence in common; the split: sequences by share"),
        (
            "aaaabbbbcc",
            None,
            {"test_sequence": "b"},
            True,
            "in common (train and validation: 2); the split: sequence b",
        ),
        (
            "aabbbc",
            ["train", "train", "train", "val", "val", "test"],
            {"source": "camvid"},
            True,
            "in common (train and validation: 1); the split: as published",
        ),
        ("aabcb", ["train", "train", "val", "test", "test"], {"source": "camvid"}, True, "validation and test: 1"),
        ("abcb", ["train", "train", "val", "test"], {"source": "camvid"}, False, "train and test: 1"),
    ],
)
def test_shared_sequences_are_said(
    letters: str,
    official: list[str] | None,
    config: dict[str, Any],
    test_apart: bool,
    said: str,
    scenes: Callable[..., Scenes],
) -> None:
    """Apart only where they are: not where a published split cuts sequences, nor where validation is their end."""
    found = record(scenes(letters, official), Data.model_validate(config))
    text = cards.data_card(found).replace("\\", "")  # Markdown's escapes
    assert all(sentence in text for sentence in (said, *found["dataset"]["split_warnings"]))
    assert test_apart == (DISJOINT in cards.model_card(found))
