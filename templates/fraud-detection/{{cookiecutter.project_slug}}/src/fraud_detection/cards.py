"""The words of the model card that only this domain can say; the frame and the figures are the library's."""

from __future__ import annotations

from typing import Any

from paceline import card


def model_card(record: dict[str, Any]) -> str:
    """Return MODEL_CARD.md for a run, from its record."""
    return card.model_card(
        record,
        title="Payment-fraud detection",
        intended_use=(
            "Ranks card transactions by the probability that they are fraudulent, so that a team can review the most "
            "suspicious ones. A person decides about each alert."
        ),
        out_of_scope=(
            "Blocking customers without review.",
            "Credit decisions, or any decision about a person beyond the transaction at hand.",
            "Transactions of another portfolio than the one it was trained on, before it is evaluated there.",
        ),
        limits=(
            "It learns only frauds that were reported; unreported ones count as honest in training and in the test.",
            "Patterns change: figures hold for the test days given, and fall as time passes without retraining.",
            "Calibration and threshold come from the model of the earlier fold and are carried over to the final one.",
        ),
        factors=("channel", "country", "merchant category", "amount", "age of the customer relationship"),
        ethical_considerations=(
            "False alerts fall on people: compare the rates between groups of customers before it is used.",
        ),
    )
