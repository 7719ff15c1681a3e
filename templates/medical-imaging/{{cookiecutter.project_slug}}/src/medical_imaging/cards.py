"""The words of the model card and the data card that only this domain can say; frame and figures are the library's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medical_imaging import checklist
from paceline import card


@dataclass(frozen=True)
class Words:
    """What a model card says of a kind of model; see `paceline.card.model_card`."""

    title: str
    intended_use: str
    missed: str
    out_of_scope: tuple[str, ...]
    limits: tuple[str, ...]


CLASSIFIER = Words(
    title="Classification of medical images",
    intended_use=(
        "Ranks images by the probability of findings, for research and for the development of a tool that would "
        "assist readers. It is no medical device; a physician decides about each patient."
    ),
    missed="finding",
    out_of_scope=("Reading absence of a finding as proof of health: only the classes above were looked for.",),
    limits=(
        "Labels are what the data say; where readers disagreed or a report was mined, they are wrong at times.",
        "Uncertain and missing labels judge nothing, so the test holds clearer cases than the clinic does.",
        "Probabilities were calibrated at the prevalence of the validation patients; another needs it again.",
    ),
)
OUTLINES = Words(
    title="Outlines of lesions in medical images",
    intended_use=(
        "Marks the pixels that probably belong to a lesion, for research and for the development of a tool that would "
        "assist readers. It is no medical device; a physician decides about each patient."
    ),
    missed="lesion",
    out_of_scope=(
        "Measuring a lesion, its growth or its response to treatment, without a reader who corrects the outline.",
        "Reading an image without an outline as proof of health.",
    ),
    limits=(
        "Masks are what the data say: readers draw borders differently, and no two of them reach a Dice of 1.",
        "All lesions are one class: it does not say which kind of lesion it marks.",
        "Each pixel's probability is not calibrated; only the threshold was chosen, on the validation patients.",
        "Images without a mask took no part, so how often it marks healthy images is known for those with one only.",
    ),
)
OUT_OF_SCOPE = (
    "Diagnosis, triage or treatment without a physician, and any clinical use before approval as a device.",
    "Images of another modality, body part, age group or scanner than it was evaluated on.",
)
LIMITS = ("Images are shrunk to data.image_size_px: findings of a few pixels are lost.",)


def model_card(record: dict[str, Any]) -> str:
    """Return MODEL_CARD.md for a run, from its record, with the reporting checklist at its end."""
    words = OUTLINES if record["config"]["model"]["task"] == "segmentation" else CLASSIFIER
    text = card.model_card(
        record,
        title=words.title,
        intended_use=words.intended_use,
        out_of_scope=(*words.out_of_scope, *OUT_OF_SCOPE),
        limits=(*words.limits, *LIMITS),
        factors=("site and scanner", "sex", "age", "view"),
        ethical_considerations=(
            f"A missed {words.missed} harms the patient: compare the figures by group, under Quantitative analyses, "
            "and read the intervals: a group of few images proves little either way.",
            "Items are named by salted ids; the map to real ones lies beside the data and is not to be passed on.",
            "The run's config.toml holds data.path, so that it can be trained again, and its name may be a patient's: "
            "leave that file out when the run is passed on. No other file of the run holds it.",
        ),
    )
    return text + "\n" + checklist.table(record)


def data_card(record: dict[str, Any]) -> str:
    """Return DATA_CARD.md for the data of a run, from its record."""
    simulated = record["config"]["data"]["source"] == "synthetic"
    return card.data_card(
        record,
        title="Medical images",
        motivation=(
            "Simulated, so that a project can train before it has data of its own; nothing in it is of a real person."
            if simulated
            else "Write here why these images were taken, and by whom they were collected."
        ),
        collection=(
            ("Drawn by `phantom.py` from the seed in the configuration, and written as DICOM by `synthetic.py`.",)
            if simulated
            else ("Write here from which sites and scanners they come, over what time, with whose consent.",)
        ),
        preprocessing=(
            "Rescale, window and photometric interpretation in the order of the standard, then a square by padding.",
            "Blank images and exact duplicates are left out; what cannot be read is quarantined by salted id.",
        ),
        uses=("Training and judging models that find what the labels name.",),
        not_for=(
            "Identifying a person.",
            *(("Conclusions about real disease: what can be seen is what was drawn.",) if simulated else ()),
        ),
        distribution=(
            ("May be passed on freely.",)
            if simulated
            else ("Write here who may have them; images of patients are personal data even without a name.",)
        ),
        maintenance=(
            "The figures above are of the run named at the top; every run writes them again from what it read.",
        ),
    )
