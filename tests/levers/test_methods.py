"""Every time-saver that a template names has a card in METHODS.md; every card is whole, and measured or excused."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CARDS = {
    name.strip(): text
    for name, _, text in (card.partition("\n") for card in (ROOT / "shared/METHODS.md").read_text().split("\n## ")[1:])
}
PARTS = ["Does", "Helps", "Does not help", "Measured", "Source"]
TEMPLATES = sorted(ROOT.glob("templates/*/*/src/*/levers.py"))


def names(file: Path) -> set[str]:
    """Return the names of the levers that a file makes: the first argument of each `Lever(...)`."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    made = [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Lever"]
    return {ast.literal_eval(name) for name in made}


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.parent.name)
def test_every_lever_has_a_card(file: Path) -> None:
    """A gain is only as good as knowing when it does not come."""
    assert names(file)
    assert set() == names(file) - set(CARDS)


@pytest.mark.parametrize("name", CARDS)
def test_every_card_is_a_lever_or_says_why_not(name: str) -> None:
    """No card promises a measurement that no template makes; what none can make has a reason."""
    offered = set().union(*(names(file) for file in TEMPLATES))
    excused = re.search(r"^- \*\*Measured:\*\* not: \S", CARDS[name], re.MULTILINE) is not None
    assert (name in offered) != excused


@pytest.mark.parametrize("name", CARDS)
def test_every_card_has_the_same_parts(name: str) -> None:
    """What it does, when it helps, when it does not, how it is measured, where it comes from."""
    assert PARTS == re.findall(r"^- \*\*([^*]+):\*\* \S", CARDS[name], re.MULTILINE)
