"""What a reader must know before trusting a run's figures: sentences for the warnings of the record and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_imaging.cohort import Split
from medical_imaging.letters import most_moved
from medical_imaging.metrics import Judged

FEW_POSITIVES = 20  # fewer leave the figures of a class to chance: a sensitivity of one half is then 0.4 wide
READS = 0.05  # by which erasing letters moves probabilities on average where they are read
FAR = 0.05  # of AUROC: what an external site may lose before it is said


def about(
    decided_on: Judged, judged: Judged, scores: dict[str, Any], letters: Sequence[Mapping[str, Any]] = ()
) -> list[str]:
    """Return the doubts about a run, none where all is well.

    Args:
        decided_on: the validation images.
        judged: the test images.
        scores: as in the run record, each with its `floor`.
        letters: what burned-in letters do, by class; see `letters.effect`.
    """
    doubts = []
    for part, images in (("validation", decided_on), ("test", judged)):
        positives = (images.truth == 1).sum(axis=0)
        few = [name for name, count in zip(images.classes, positives, strict=True) if count < FEW_POSITIVES]
        if few:
            doubts.append(
                f"The {part} images have under {FEW_POSITIVES} positives of {', '.join(few)}: "
                "the figures of these are left to chance."
            )
    auroc = scores["auroc"]
    if auroc["value"] < auroc["floor"]["value"]:
        doubts.append(f"Its AUROC is below that of {auroc['floor']['name']}, the floor.")
    external = scores.get("external_auroc")
    if external and external["value"] < auroc["value"] - FAR:
        doubts.append(
            f"At the external site the AUROC is {external['value']:.2f} instead of {auroc['value']:.2f}: "
            "what it learned is partly of the sites it was trained on."
        )
    pointing = scores.get("pointing_game")
    if pointing and pointing["value"] < pointing["floor"]["value"]:
        doubts.append(
            f"Its heat maps hit the lesion in {pointing['value']:.0%}, {pointing['floor']['name']} in "
            f"{pointing['floor']['value']:.0%}: it may look at something else than the finding."
        )
    read = scores.get("letters_effect")
    if read and read["value"] > max(READS, 2 * read["floor"]["value"]):
        most = letters[most_moved(letters)]
        doubts.append(
            f"It reads letters burned into the image: erasing them in {most['images']} images moves its probabilities "
            f"by {read['value']:.2f} on average, that of {most['class']} from {most['with_letters']['value']:.2f} to "
            f"{most['letters_erased']['value']:.2f}. At a site that marks its films otherwise it will be off."
        )
    return doubts


def about_outlines(masks: NDArray[np.bool_], split: Split, scores: dict[str, Any]) -> list[str]:
    """Return the doubts about a run that outlines lesions; see `about`.

    Args:
        masks: of all images.
        split: the rows that have masks.
        scores: as in the run record, each with its `floor`.
    """
    doubts = []
    for part, rows in (("validation", split.validation), ("test", split.test)):
        lesions = int(masks[rows].any(axis=(1, 2)).sum())
        if lesions < FEW_POSITIVES:
            doubts.append(f"Only {lesions} {part} images have a lesion: the figures of these are left to chance.")
    dice, external = scores["dice"], scores.get("external_dice")
    if dice["value"] < dice["floor"]["value"]:
        doubts.append(f"Its Dice is below that of {dice['floor']['name']}, the floor.")
    if external and external["value"] < dice["value"] - FAR:
        doubts.append(
            f"At the external site Dice is {external['value']:.2f} instead of {dice['value']:.2f}: "
            "what it learned is partly of the sites it was trained on."
        )
    return doubts
