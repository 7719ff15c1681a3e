"""The words of the model card that only this domain can say; the frame and the figures are the library's."""

from __future__ import annotations

from typing import Any

from paceline import card


def model_card(record: dict[str, Any]) -> str:
    """Return MODEL_CARD.md for a run."""
    return card.model_card(
        record,
        title="Payment-fraud detection",
        intended_use="",
        limits="",
    )
