"""What CLAIM and TRIPOD+AI ask a paper to report, answered from the run record where the run knows.

Mongan et al., "Checklist for Artificial Intelligence in Medical Imaging" (2020, updated 2024), and Collins et al.,
"TRIPOD+AI statement" (2024). Item numbers are those of CLAIM 2020 and TRIPOD+AI; where only people know, it says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paceline.card import escape

OPEN = "Write here; the run cannot know."


def table(record: Mapping[str, Any]) -> str:
    """Return the checklist as a section of Markdown."""
    config, model, dataset = record["config"], record.get("model") or {}, record.get("dataset") or {}
    train, data, report = config["train"], config["data"], config["report"]
    decision = model.get("decision") or {}
    quarantine = dataset.get("quarantine") or {}
    simulated = data["source"] == "synthetic"
    apart = next((part["images"] for part in dataset.get("parts") or [] if part["part"] == "external"), 0)
    outlines = config["model"]["task"] == "segmentation"
    rows = [
        ("7 / 5", "Data source", f"{data['source']}" + (": simulated" if simulated else f". {OPEN}")),
        ("8 / 6", "Eligibility", f"{quarantine.get('read', '-')} read, {quarantine.get('quarantined', '-')} left out, "
         "with reasons, see the data card."),
        ("9 / 7", "Preprocessing", f"Windowed, padded to a square of {data['image_size_px']} pixels, 8 bits."),
        ("11 / 8", "De-identification", "Salted ids; see `medical-imaging data --deidentify`."),
        ("14-18 / 8", "Reference standard", "Drawn, so known exactly." if simulated else OPEN),
        ("13 / 11", "Missing data", "Images without a mask take no part." if outlines
         else f"Labels not given are masked; uncertain ones: {train['uncertain']}."),
        ("19 / 10", "Sample size", f"{dataset.get('images', '-')} images; no calculation was made."),
        ("20-21 / 12a", "Partition", f"{_parts(dataset)}; no patient or pixel-equal image in two parts, checked."),
        ("22-23 / 12c", "Model", f"{model.get('name', '-')}, {model.get('backbone', '-')}, "
         f"{model.get('parameters', '-')} parameters."),
        ("24 / 12c", "Initialisation", "Random." if config["model"]["backbone"] == "none"
         or config["model"]["name"] == "resnet18" else "Pretrained backbone, new head."),
        ("25-26 / 12d", "Training", f"{train['optimizer']}, rate {train['learning_rate']}, {train['schedule']}, "
         f"batches of {train['batch_size']}, up to {train['epochs']} epochs, loss "
         f"{'cross-entropy of pixels and Dice' if outlines else train['loss']}, "
         f"seed {train['seed']}; best epoch by validation."),
        ("27 / 12d", "Ensemble", f"{model.get('members', 1)} member(s)."),
        ("28-29 / 12e", "Metrics and uncertainty", f"95 % intervals, {report['resamples']} bootstrap draws of "
         + ("patients, of Dice, IoU and Hausdorff distance." if outlines else "patients; DeLong beside them.")),
        ("30 / 12f", "Robustness, fairness", "By site, sex, age band and view, with counts and intervals."),
        ("31 / 12g", "Explanation", "The outline is the answer; pictures of it beside the true one." if outlines
         else "Heat maps; pointing game against masks where there are any."),
        ("32 / 16", "External validation", f"Site {data['external_site']}, {apart} images, kept out of training."
         if apart else "None."),
        ("33 / 22", "Patients and flow", "See the data card."),
        ("35 / 23", "Performance", "See Quantitative analyses; operating point: " + str(decision.get("rule", "-"))),
        ("36 / 23b", "Failure analysis", OPEN),
        ("38 / 25", "Limitations", "See Caveats and recommendations."),
        ("40-42 / 18", "Registration, protocol, funding", OPEN),
    ]  # fmt: skip
    lines = ["## CLAIM and TRIPOD+AI", "", "| item (CLAIM / TRIPOD+AI) | topic | this run |", "| --- | --- | --- |"]
    lines += [f"| {item} | {escape(topic)} | {escape(answer)} |" for item, topic, answer in rows]
    return "\n".join(lines) + "\n"


def _parts(dataset: Mapping[str, Any]) -> str:
    """Return how the images are divided, and into how many."""
    sizes = ", ".join(f"{part['images']} for {part['part']}" for part in dataset.get("parts") or [] if part["images"])
    return f"{str(dataset.get('split') or '-').capitalize()}: {sizes or 'no images'}"
