"""The model card: every figure from the record, every heading there, hostile texts shown as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from paceline.card import data_card, escape, model_card

HEADINGS = [
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data and training data",
    "Training",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
]


def card(record: dict[str, Any], **texts: Any) -> str:
    """A card with the texts that people hand in."""
    given = {"title": "Fraud", "intended_use": "Rank transactions for review.", "limits": ["One country only."]}
    return model_card(record, **(given | texts))


def test_card_has_the_headings_in_their_order(record: dict[str, Any]) -> None:
    """The headings of Mitchell et al. stand in their order, whatever is known."""
    assert [line[3:] for line in card(record).splitlines() if line.startswith("## ")] == HEADINGS


def test_card_is_filled_from_the_run(record: dict[str, Any]) -> None:
    """Data, time, device, scores with intervals and floor, decision, calibration, warnings and versions are in it."""
    text = card(record)
    for part in (
        "293,117",
        "The run took 1 min 22 s.",
        "Intel Xeon Platinum 8481C",
        "| average precision | 0.652 | 0.601 to 0.700 | logistic regression | 0.531 | 0.471 to 0.588 |",
        "- threshold: 0.083",
        "- method: sigmoid",
        "The data may drift.",
        "One country only.",
        "- xgboost-cpu: 3",
        "Overfitting after round 132",
        "| amount is no number | 17 |",
    ):
        assert part in text


def test_card_of_a_bare_record_says_what_is_not_known(bare_record: Callable[..., dict[str, Any]]) -> None:
    """Nothing known gives sentences that say so, under every heading."""
    text = card(bare_record(), limits=[])
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == HEADINGS
    for sentence in (
        "No scores were recorded.",
        "No decision rule was recorded.",
        "None are known.",
        "Nothing was rec",
    ):
        assert sentence in text


def test_card_keeps_secrets(record: dict[str, Any]) -> None:
    """A password in the data's address is not in the card."""
    record["dataset"]["source"] = "postgresql://me:hunter2@host/db"
    assert "hunter2" not in card(record)


HOSTILE = [
    "<script>alert(1)</script>",
    "![x](http://evil.example/a.png)",
    "[link](javascript:alert(1))",
    "a | b\n# heading\n\n- list",
    "`code` *bold* _under_ ~~gone~~ $x$",
    "http://evil.example www.evil.example @someone #12",
    "1. one",
    "- item",
    "---",
    "&lt;b&gt; &copy;",
    "\u202eright to left\u0000",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_text_renders_as_itself(text: str) -> None:
    """Rendered as a paragraph, a list item and a table cell, a text stays one plain text."""
    markdown = pytest.importorskip("markdown_it", reason="markdown-it-py renders the Markdown")
    renderer = markdown.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    for before, after in (("", ""), ("- ", ""), ("| a |\n| --- |\n| ", " |")):
        tokens = renderer.parse(f"{before}{escape(text)}{after}")
        inline = [token for token in tokens if token.type == "inline"][-1]
        kinds = {child.type for child in inline.children or []}
        assert kinds <= {"text", "text_special"}
        assert shown == "".join(child.content for child in inline.children or []).strip()
        assert not {token.type for token in tokens} & {"heading_open", "hr", "html_block", "fence", "ordered_list_open"}


def test_a_negative_number_keeps_its_sign_plain() -> None:
    """Numbers are not mistaken for list markers."""
    assert escape("-0.120") == "-0.120"
    assert escape("0.65") == "0.65"


def test_hostile_names_make_no_table_and_no_markup(record: dict[str, Any]) -> None:
    """A data set that names its columns in HTML and Markdown adds no element to the card."""
    markdown = pytest.importorskip("markdown_it", reason="markdown-it-py renders the Markdown")
    record["dataset"]["<img src=x onerror=alert(1)>"] = "<script>alert(1)</script>"
    record["warnings"] = ["# heading\n\n![x](http://evil.example)"]
    html = markdown.MarkdownIt("commonmark", {"html": True}).enable("table").render(card(record, title="<b>x</b>"))
    for element in ("<script", "<img", "<b>", "<a "):
        assert element not in html


DATA_HEADINGS = [
    "Motivation",
    "Composition",
    "Collection process",
    "Preprocessing, cleaning, labelling",
    "Uses",
    "Distribution",
    "Maintenance",
]


def test_model_card_shows_scores_by_group(record: dict[str, Any]) -> None:
    """A group's counts and its scores with intervals are a row below the scores."""
    recall = {"value": 0.625, "low": 0.5, "high": 0.75}
    text = card(record | {"slices": [{"slice": "channel=atm", "transactions": 8421, "recall": recall}]})
    assert "| channel=atm | 8,421 | 0.625 (0.500 to 0.750) |" in text


def test_data_card_has_the_headings_in_their_order(bare_record: Callable[..., dict[str, Any]]) -> None:
    """The headings of Gebru et al. stand in their order, and what nobody wrote is said to be missing."""
    text = data_card(bare_record(), title="Payments", motivation="To train.")
    assert DATA_HEADINGS == [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert 5 == text.count("Nothing was written down.")
    assert 1 == text.count("Nothing was recorded.")


def test_data_card_is_filled_from_the_audit(record: dict[str, Any]) -> None:
    """Counts, splits and the quarantine come from the record, words from those who know."""
    text = data_card(record, title="Payments", motivation="To train.", uses=["Review."], not_for=["Credit."])
    for part in ("- read: 293,117", "| amount is no number | 17 |", "- Review.", "Not for:\n\n- Credit."):
        assert part in text


def test_data_card_shows_hostile_texts_as_they_are(bare_record: Callable[..., dict[str, Any]]) -> None:
    """Neither a text handed in nor a value of the data can bring in markup."""
    text = data_card(
        bare_record(dataset={"<img src=x>": "[a](http://b)"}), title="# <b>", motivation="*bold*", uses=["<script>"]
    )
    for markup in ("<img", "<b>", "<script>", "[a](", " *bold*"):
        assert markup not in text


def test_quantiles_are_one_table_and_notes_explain_scores(record: dict[str, Any]) -> None:
    """Quantities are rows of one table in the card too, and what a score means stands below the scores."""
    record["dataset"] |= {"amount": {"min": 0.5, "p50": 2300.25}, "delay": {"min": 1, "p50": 2337}}
    text = card(record | {"score_notes": {"average_precision": "Mean precision over recall."}})
    assert "|  | min | p50 |\n| --- | --- | --- |\n| amount | 0.500 | 2,300 |\n| delay | 1 | 2,337 |" in text
    assert "- average precision: Mean precision over recall." in text
