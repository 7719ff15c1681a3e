"""The model card and the data card: what a model and its data are, in Markdown, filled from the run record.

The headings are those of Mitchell et al., "Model Cards for Model Reporting" (2019), and of Gebru et al., "Datasheets
for Datasets" (2021). What only people know (what a model is for, who collected the data) is handed in; every figure
comes from the record. Texts from data are escaped for Markdown and HTML, and secrets are hidden.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from paceline.report import curves, sections
from paceline.report import format as fmt

_SPECIAL = re.compile(r"([\\`*_{}\[\]|~#$!@])")
_BLOCK_START = re.compile(r"^(\d*)([-+=](?=[\s=-]|$)|(?<=\d)[.)](?=\s|$))")  # a list, a rule, a heading's underline


def model_card(
    record: Mapping[str, Any],
    *,
    title: str,
    intended_use: str,
    limits: Sequence[str],
    out_of_scope: Sequence[str] = (),
    factors: Sequence[str] = (),
    ethical_considerations: Sequence[str] = (),
    licence: str = "",
    contact: str = "",
) -> str:
    """Return the model card of a run.

    Args:
        record: as `record.Run.state` gives it. Under `model`, the entries `decision` (threshold, rule) and
            `calibration` get places of their own.
        title: name of the model.
        intended_use: one or two sentences: for what, by whom.
        limits: what is known not to work, a sentence each.
        out_of_scope: uses that it must not be put to.
        factors: groups and conditions between which its quality may differ.
        ethical_considerations: risks to people, and what is done about them.
        licence: of the model.
        contact: whom to ask.

    Returns:
        Markdown (CommonMark with tables). A part of which nothing is known says so; none is left out.
    """
    known = sections.prepare(record)
    model = known.get("model") or {}
    dataset = known.get("dataset") or {}
    history = known.get("history") or {}
    description = {key: value for key, value in model.items() if key not in ("decision", "calibration")}
    made = [("run", str(known.get("run", "-"))), ("trained", sections.finished_at(known))]
    made += [("licence", licence)] * bool(licence) + [("contact", contact)] * bool(contact)
    lines = [f"# {escape(title)}", ""]
    lines += ["## Model details", "", *_facts([*made, *sections.facts(description)])]
    lines += ["## Intended use", "", escape(intended_use), ""]
    lines += ["Not for:", "", *_list(out_of_scope)] if out_of_scope else []
    lines += ["## Factors", "", *(_list(factors) if factors else ["None were examined.", ""])]
    lines += ["## Metrics", "", *_metrics(model)]
    lines += ["## Evaluation data and training data", "", *_dataset(dataset)]
    lines += ["## Training", "", *_training(known, history)]
    lines += ["## Quantitative analyses", "", *_scores(known)]
    lines += ["## Ethical considerations", ""]
    lines += _list(ethical_considerations) if ethical_considerations else ["None were written down.", ""]
    lines += ["## Caveats and recommendations", "", *_list([*limits, *sections.warnings(known)])]
    return "\n".join(lines).rstrip() + "\n"


def data_card(
    record: Mapping[str, Any],
    *,
    title: str,
    motivation: str,
    collection: Sequence[str] = (),
    preprocessing: Sequence[str] = (),
    uses: Sequence[str] = (),
    not_for: Sequence[str] = (),
    distribution: Sequence[str] = (),
    maintenance: Sequence[str] = (),
) -> str:
    """Return the data card of the data that a run used.

    Args:
        record: as `record.Run.state` gives it; the figures are those under `dataset`.
        title: name of the data.
        motivation: one or two sentences: why the data exist, and who made them.
        collection: how they were collected, over what time, with whose consent; a sentence each.
        preprocessing: what was cleaned, derived and labelled.
        uses: what they are good for.
        not_for: what they must not be used for.
        distribution: who may have them, under which licence.
        maintenance: who keeps them, how they are corrected and renewed.

    Returns:
        Markdown (CommonMark with tables). A part of which nothing is known says so; none is left out.
    """
    known = sections.prepare(record)
    source = [("run", str(known.get("run", "-"))), ("read", fmt.moment(known.get("started_at")))]
    lines = [f"# {escape(title)}", "", *_facts(source)]
    lines += ["## Motivation", "", escape(motivation), ""]
    lines += ["## Composition", "", *_dataset(known.get("dataset") or {})]
    for heading, texts in (
        ("Collection process", collection),
        ("Preprocessing, cleaning, labelling", preprocessing),
        ("Uses", uses),
    ):
        lines += [f"## {heading}", "", *_written(texts)]
    lines += ["Not for:", "", *_list(not_for)] if not_for else []
    for heading, texts in (("Distribution", distribution), ("Maintenance", maintenance)):
        lines += [f"## {heading}", "", *_written(texts)]
    return "\n".join(lines).rstrip() + "\n"


def escape(text: str) -> str:
    r"""Return `text` in one line that Markdown and HTML show as it is: no markup, no link, no mention, no table cell.

    >>> escape("<b>*bold*</b> [x](http://y) @you | a")
    '&lt;b&gt;\\*bold\\*&lt;/b&gt; \\[x\\](http:&#47;/y) \\@you \\| a'
    """
    text = re.sub(r"\s+", " ", "".join(character if character.isprintable() else " " for character in text)).strip()
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _SPECIAL.sub(r"\\\1", text)
    text = _BLOCK_START.sub(r"\1\\\2", text)
    return re.sub(r"(?i)\bwww\.", "www&#46;", text.replace("://", ":&#47;/"))  # no address becomes a link by itself


def _metrics(model: Mapping[str, Any]) -> list[str]:
    lines = []
    for key, absent in (("decision", "No decision rule was recorded."), ("calibration", "It is not calibrated.")):
        value = model.get(key)
        if not value:
            lines += [absent, ""]
            continue
        rows = sections.facts(value) if isinstance(value, Mapping) else [("rule", str(value))]
        lines += [f"{fmt.label(key).capitalize()}:", "", *_facts(rows)]
    return lines


def _dataset(dataset: Mapping[str, Any]) -> list[str]:
    lines = _facts(sections.facts(dataset)) or ([] if sections.tables(dataset) else ["Nothing was recorded.", ""])
    for table in sections.tables(dataset):
        lines += [f"{escape(table['title']).capitalize()}:", "", *_table(table["columns"], table["rows"])]
        lines += [f"And {table['more']} more, in run.json.", ""] if table["more"] else []
    return lines


def _training(record: Mapping[str, Any], history: Mapping[str, Any]) -> list[str]:
    took = fmt.duration(sections.wall_seconds(record))
    ended = {"done": "The run took", "failed": "The run failed after", "stopped": "The run was stopped after"}
    lines = [f"{ended.get(str(record.get('status')), 'The run was not closed; known are')} {took}."]
    lines += [escape(text) for text in (sections.device(record), curves.diagnosis(history)) if text]
    stop = str(history.get("stop_reason") or "")
    lines += [escape(f"Training ended: {stop}.")] if stop else []
    hardware = sections.facts(record.get("hardware") or {})
    software = [(name, str(version)) for name, version in (record.get("software") or {}).items()]
    seed = [("seed", str(record["seed"]))] if record.get("seed") is not None else []
    return [" ".join(lines), "", *_facts([*hardware, *seed, *software])]


def _scores(record: Mapping[str, Any]) -> list[str]:
    rows = sections.scores(record)
    if not rows:
        return ["No scores were recorded.", ""]
    floors = any(row["floor"] for row in rows)
    cells = [
        [row["name"], row["value"], row["interval"] or "-"]
        + ([row["floor_name"] or "-", row["floor"] or "-", row["floor_interval"] or "-"] if floors else [])
        for row in rows
    ]
    columns = ["score", "value", "interval"] + (["floor", "its value", "its interval"] if floors else [])
    note = str(record.get("scores_note") or "")
    lines = [*_table(columns, cells), *([escape(note), ""] if note else [])]
    lines += _facts(sections.score_notes(record))
    for table in sections.slices(record):
        lines += [f"{escape(table['title']).capitalize()}:", "", *_table(table["columns"], table["rows"])]
    return lines


def _facts(rows: Sequence[tuple[str, str]]) -> list[str]:
    return [*(f"- {escape(name)}: {escape(text)}" for name, text in rows), ""] if rows else []


def _written(texts: Sequence[str]) -> list[str]:
    return _list(texts) if texts else ["Nothing was written down.", ""]


def _list(texts: Sequence[str]) -> list[str]:
    return [*(f"- {escape(text)}" for text in texts), ""] if texts else ["None are known.", ""]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(escape(column) for column in columns)} |", f"|{' --- |' * len(columns)}"]
    lines += [f"| {' | '.join(escape(cell) for cell in row)} |" for row in rows]
    return [*lines, ""]
