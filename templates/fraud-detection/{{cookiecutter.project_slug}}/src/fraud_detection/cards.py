"""The words of the model card and the data card that only this domain can say; frame and figures are the library's."""

from __future__ import annotations

from typing import Any

from paceline import card

FACTORS = {  # what scores are sliced by, in words
    "channel": "channel",
    "country": "country",
    "mcc": "merchant category",
    "portfolio": "portfolio",
    "amount_quartile": "amount",
    "account_age_days": "age of the customer relationship",
}


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
            "It learns only frauds that were reported; unreported ones count as genuine in training and in the test.",
            "Patterns change: figures hold for the test days given, and fall as time passes without retraining.",
            "Calibration and threshold come from the model of the earlier fold and are carried over to the final one.",
        ),
        factors=_factors(record),
        ethical_considerations=(
            "False alerts fall on people: compare the false positive rates by group, under Quantitative analyses, "
            "before it is used, and read the intervals: a group with few transactions proves little either way.",
            "The age of an account is counted from the customer's first transaction in the data, not from its opening.",
        ),
    )


def data_card(record: dict[str, Any]) -> str:
    """Return DATA_CARD.md for the data of a run, from its record."""
    config = record["config"]["data"]
    simulated = config["source"] == "synthetic"
    return card.data_card(
        record,
        title="Card transactions",
        motivation=(
            "Simulated, so that a project can train before it has data of its own; nothing in it is a real person's."
            if simulated
            else "Write here why these transactions were collected, and by whom."
        ),
        collection=(
            ("Made by `synthetic.py` from the seed in the configuration: the same seed gives the same transactions.",)
            if simulated
            else ("Write here from which systems they come, over what time, and on which legal basis.",)
        ),
        preprocessing=(
            f"Times are in UTC; one without a zone was taken as {config['time_zone']}.",
            "Rows that could not be used are in the quarantine.",
            "A label counts from the moment it arrived. Where none is given it arrives after data.label_delay_days.",
            "A fraud that nobody reported is labelled genuine: the share of frauds is that of reported frauds.",
        ),
        uses=("Training and judging models that rank transactions for review.",),
        not_for=(
            "Judging a person: an account with a fraudulent transaction is a victim's more often than a culprit's.",
            *(("Conclusions about real fraud: its patterns are those that were put in.",) if simulated else ()),
        ),
        distribution=(
            ("May be passed on freely.",) if simulated else ("Write here who may have them; ids are personal data.",)
        ),
        maintenance=(
            "The figures above are of the run named at the top; every run writes them again from what it read.",
        ),
    )


def _factors(record: dict[str, Any]) -> tuple[str, ...]:
    """Return the factors that the data have, and so the scores were sliced by."""
    sliced = {str(row["slice"]).partition("=")[0] for row in record.get("slices") or ()}
    return tuple(name for column, name in FACTORS.items() if column in sliced)
