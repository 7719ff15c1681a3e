"""Further columns of the table as features: every column named `extra_...`, whatever a format or a user's file brings.

What has to be learnt for that (the value that stands for a missing number, the code of a category) is learnt on the
rows of the first training window alone, used unchanged from then on and stored with the model: nothing of a later
window can reach an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraud_detection.formats import EXTRA
from paceline.errors import PacelineError

MOST_CATEGORIES = 1_000  # of a column; rarer ones count as unknown


@dataclass(frozen=True)
class Encoding:
    """How the extra columns become numbers.

    Attributes:
        missing: of each column of numbers, what a missing one is replaced by: one less than the least that was seen, so
            that a tree can tell it from the others.
        categories: of each column of texts, those seen, the most frequent first; they become 1, 2, ... in this order,
            an unknown or missing one 0.
    """

    missing: dict[str, float]
    categories: dict[str, list[str]]

    def extend(self, features: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
        """Return `features` with the extra columns of `table` after them, as Float32 without nulls.

        Raises:
            PacelineError: a column that was learnt is not in the table.
        """
        for name in (*self.missing, *self.categories):
            if name not in table.columns:
                raise PacelineError(
                    f"The data has no column '{name.removeprefix(EXTRA)}', which the model was trained with.",
                    "Add it, or train without it.",
                )
        numbers = [table[name].cast(pl.Float32).fill_null(value) for name, value in self.missing.items()]
        codes = [
            table[name]
            .replace_strict(
                {text: code for code, text in enumerate(texts, start=1)}, default=0, return_dtype=pl.Float32
            )
            .alias(name)
            for name, texts in self.categories.items()
        ]
        return features.with_columns(*numbers, *codes)

    def state(self) -> dict[str, Any]:
        """Return the encoding as JSON types, for the run record."""
        return {"missing": self.missing, "categories": self.categories}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Encoding:
        """Return the encoding that `state` holds."""
        return cls(state.get("missing", {}), state.get("categories", {}))


def learn(table: pl.DataFrame, rows: NDArray[np.int64]) -> Encoding:
    """Return the encoding of the extra columns of `table`, learnt from `rows` of it.

    >>> table = pl.DataFrame({"extra_type": ["pos", "atm", "pos", "web"], "extra_age": [3.0, None, 5.0, 1.0]})
    >>> encoding = learn(table, np.arange(3))
    >>> encoding.extend(pl.DataFrame({"amount": [10, 20, 30, 40]}), table).rows()
    [(10, 3.0, 1.0), (20, 2.0, 2.0), (30, 5.0, 1.0), (40, 1.0, 0.0)]
    """
    seen = table[rows].select(name for name in table.columns if name.startswith(EXTRA))
    missing, categories = {}, {}
    for name in seen.columns:
        if seen[name].dtype == pl.String:
            counts = seen[name].drop_nulls().value_counts().sort("count", name, descending=[True, False])
            categories[name] = counts[name].head(MOST_CATEGORIES).to_list()
        else:
            least = seen[name].min()
            missing[name] = float(least) - 1.0 if least is not None else -1.0  # type: ignore[arg-type] # a number
    return Encoding(missing, categories)
