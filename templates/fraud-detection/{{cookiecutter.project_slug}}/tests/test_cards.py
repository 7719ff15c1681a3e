"""The cards say of the data and the scores what is so in this run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fraud_detection.cards import data_card, model_card
from paceline import record


@pytest.fixture
def known(run_folder: Path) -> dict[str, Any]:
    """The record of a finished run."""
    return dict(record.read(run_folder))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Brussels"])
def test_the_data_card_names_the_zone_that_was_configured(known: dict[str, Any], zone: str) -> None:
    """Times without a zone were taken as `data.time_zone` says."""
    changed = known | {"config": known["config"] | {"data": known["config"]["data"] | {"time_zone": zone}}}
    assert f"one without a zone was taken as {zone}." in data_card(changed)


def test_the_model_card_lists_the_factors_that_the_data_have(known: dict[str, Any]) -> None:
    """All of a simulation's; of data without channels and countries only what its scores were sliced by."""
    assert all(f"- {name}\n" in model_card(known) for name in ("channel", "country", "merchant category", "amount"))
    rows = [row for row in known["slices"] if row["slice"].startswith("amount_quartile=")]
    text = model_card(known | {"slices": rows})
    assert "- amount\n" in text
    assert not any(f"- {name}\n" in text for name in ("channel", "country", "merchant category"))
