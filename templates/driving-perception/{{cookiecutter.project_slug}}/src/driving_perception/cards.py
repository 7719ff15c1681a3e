"""The words of the model card and the data card that only this domain can say; frame and figures are the library's."""

from __future__ import annotations

from typing import Any

from paceline import card

TITLES = {"segmentation": "Road-scene segmentation", "detection": "Road-scene detection", "lanes": "Lane detection"}


def model_card(record: dict[str, Any]) -> str:
    """Return MODEL_CARD.md for a run, from its record."""
    simulated = record["config"]["data"]["source"] == "synthetic"
    return card.model_card(
        record,
        title=TITLES[record["config"]["model"]["task"]],
        intended_use=(
            "Says what is where in frames of a forward-looking camera, for research, labelling and offline analysis. "
            "It is one part of a perception system, whose other parts check it."
        ),
        out_of_scope=(
            "Steering or braking a vehicle without an independent safety case (ISO 26262, ISO 21448).",
            "Another camera, mounting, country or season than those in the data, before it is evaluated there.",
            "Recognising or following people.",
        ),
        limits=(
            *(("It was trained on rendered frames: figures hold for these, not for a road.",) if simulated else ()),
            _of_the_test(record["dataset"]),
            "Conditions that no test sequence has (see the slices) are not covered by any figure here.",
            "Frames are judged one by one: nothing is said of flicker from frame to frame.",
        ),
        factors=("weather", "time of day", "kind of road", "distance", "sequence"),
        ethical_considerations=(
            "A person who is missed can be killed: read the recall of people by slice, not only the mean.",
            "How well people are found can differ by stature, clothing, aids and skin; the data say nothing of these.",
            "Road scenes show faces and number plates: frames are personal data.",
        ),
    )


def data_card(record: dict[str, Any]) -> str:
    """Return DATA_CARD.md for the data of a run, from its record."""
    simulated = record["config"]["data"]["source"] == "synthetic"
    return card.data_card(
        record,
        title="Road scenes",
        motivation=(
            "Rendered, so that a project can train before it has data of its own; nothing in it is a real place."
            if simulated
            else "Write here why these frames were recorded, and by whom."
        ),
        collection=(
            ("Made by the renderer from the seed in the configuration: the same seed gives the same frames.",)
            if simulated
            else ("Write here which cameras recorded them, where, when, and on which legal basis.",)
        ),
        preprocessing=(
            "Frames are resized to the configured size; masks by the nearest pixel, so that no class is invented.",
            "255 in a mask is ignored in training and in every score. What could not be read is in the quarantine.",
            *_of_the_splits(record["dataset"]),
        ),
        uses=("Training and judging models that say what a camera in a vehicle sees.",),
        not_for=(
            "Identifying people or vehicles.",
            *(("Conclusions about real roads: its scenes are those that were put in.",) if simulated else ()),
        ),
        distribution=(
            ("May be passed on freely.",)
            if simulated
            else ("Write here who may have them, under which licence; CamVid and others forbid commercial use.",)
        ),
        maintenance=(
            "The figures above are of the run named at the top; every run writes them again from what it read.",
        ),
    )


def _of_the_test(dataset: dict[str, Any]) -> str:
    """Return how far the test is from training."""
    count = dataset["shared_sequences"].get("train and test", 0)
    if count:
        return f"{count} sequences have frames in training and in the test: scores are too good for another drive."
    return "The test is of other sequences than training, but of the same cameras and regions."


def _of_the_splits(dataset: dict[str, Any]) -> tuple[str, ...]:
    """Return how the splits came about, and which sequences they have in common."""
    shared = dataset["shared_sequences"]
    pairs = "; ".join(f"{pair}: {count}" for pair, count in shared.items())
    said = f"have sequences in common ({pairs})" if shared else "have no sequence in common"
    return f"Training, validation and test {said}; the split: {dataset['split']}.", *dataset["split_warnings"]
