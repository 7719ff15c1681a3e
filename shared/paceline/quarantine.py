"""Bad input: counted, listed and kept apart; never silently dropped, never a crash.

A reader tells the `Quarantine` how many items it has read and kept, and hands over each one it could not use. What
comes out adds up, read = kept + quarantined, and that is checked whenever the result is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from paceline.errors import PacelineError

EXAMPLE_CHARACTERS = 160


class Quarantine:
    """Collects what could not be used, with where it stood and why.

    Args:
        path: a JSON-lines file that gets every quarantined item, `{"source", "location", "reason", "example"}` a line;
            it is made when there is the first one, and what an earlier reading left there goes when this one begins.
            Without it only the examples are kept.
        examples_per_reason: how many items a reason keeps in memory, for the record and the report.

    >>> quarantine = Quarantine()
    >>> quarantine.count(read=1000, kept=999)
    >>> quarantine.add("cards.csv", "line 12", "amount is negative", "-4.00")
    >>> quarantine.state()["by_reason"]
    {'amount is negative': 1}
    """

    def __init__(self, path: Path | None = None, *, examples_per_reason: int = 3) -> None:
        self._path = path
        self._begun = False
        self._examples_per_reason = examples_per_reason
        self._by_reason: dict[str, int] = {}
        self._examples: dict[str, list[dict[str, str]]] = {}
        self.read = 0
        self.kept = 0

    @property
    def quarantined(self) -> int:
        """The number of items handed over so far."""
        return sum(self._by_reason.values())

    def count(self, *, read: int = 0, kept: int = 0) -> None:
        """Add to the numbers of items read and kept; those quarantined are among the ones read."""
        self._begin()
        self.read += read
        self.kept += kept

    def add(self, source: str, location: str, reason: str, example: str = "") -> None:
        """Hand over one item.

        Args:
            source: the file or other origin.
            location: where in it: `line 12`, `frame 7`; empty for the whole.
            reason: why, in a few words and without the item's own values: items are counted by it.
            example: the item or the telling part of it; shortened to one line of 160 characters.
        """
        self.add_many(reason, [(source, location, example)])

    def add_many(self, reason: str, items: Iterable[tuple[str, str, str]]) -> None:
        """Hand over items of one reason, each as source, location and example; see `add`."""
        self._begin()
        examples = self._examples.setdefault(reason, [])
        lines = []
        for source, location, example in items:
            shown = [_one_line(text) for text in (source, location, example)]
            item = {"source": shown[0], "location": shown[1], "reason": reason, "example": shown[2]}
            if len(examples) < self._examples_per_reason:
                examples.append(item)
            lines.append(json.dumps(item, ensure_ascii=False) + "\n")
        self._by_reason[reason] = self._by_reason.get(reason, 0) + len(lines)
        if self._path is not None and lines:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines(lines)

    def state(self) -> dict[str, Any]:
        """Return `read`, `kept`, `quarantined`, `by_reason` (most frequent first) and `examples`, as JSON types.

        The examples say where and why; what stood there is in the quarantine file alone, for records are passed on.

        Raises:
            RuntimeError: the numbers do not add up: a reader lost items or counted them twice.
        """
        if self.read != self.kept + self.quarantined:
            raise RuntimeError(f"read {self.read} items, but kept {self.kept} and quarantined {self.quarantined}")
        by_reason = sorted(self._by_reason.items(), key=lambda pair: (-pair[1], pair[0]))
        return {
            "read": self.read,
            "kept": self.kept,
            "quarantined": self.quarantined,
            "by_reason": {reason: count for reason, count in by_reason if count},
            "examples": [
                {key: item[key] for key in ("source", "location", "reason")}
                for reason, _ in by_reason
                for item in self._examples[reason]
            ],
        }

    def examples(self) -> list[dict[str, str]]:
        """Return the first items of each reason with what stood there, to show on a screen, not to keep."""
        return [item for reason in self.state()["by_reason"] for item in self._examples[reason]]

    def refuse_above(self, max_share: float, *, setting: str) -> None:
        """Stop when more than `max_share` of what was read is quarantined.

        Args:
            max_share: from 0 to 1.
            setting: the key of the configuration that holds it, named in the remedy.

        Raises:
            PacelineError: it is; the message has the count, the commonest reason and an example.
            RuntimeError: see `state`.
        """
        state = self.state()
        if not state["quarantined"] or state["quarantined"] <= max_share * state["read"]:
            return
        reason, count = next(iter(state["by_reason"].items()))
        item = self._examples[reason][0]
        where = ", ".join(part for part in (item["source"], item["location"]) if part)
        shown = f" (it reads: {item['example']})" if item["example"] else ""
        listed = f" All are listed in {self._path}." if self._path is not None else ""
        raise PacelineError(
            f"{state['quarantined']:,} of {state['read']:,} items are quarantined "
            f"({state['quarantined'] / state['read']:.1%}, {max_share:.1%} are allowed); "
            f"{count:,} because '{reason}', for example {where}{shown}.",
            f"Mend them or raise {setting}.{listed}",
        )

    def _begin(self) -> None:
        if self._path is not None and not self._begun:
            self._path.unlink(missing_ok=True)
        self._begun = True


def _one_line(text: str) -> str:
    """Return `text` without control characters, shortened; what a file holds must not reach a terminal raw."""
    clean = "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text[: EXAMPLE_CHARACTERS + 1]
    )
    return clean if len(clean) <= EXAMPLE_CHARACTERS else clean[: EXAMPLE_CHARACTERS - 1] + "…"
