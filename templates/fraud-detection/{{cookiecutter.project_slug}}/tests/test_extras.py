"""Further columns as features: learnt on the first training window alone, and used unchanged from then on."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from fraud_detection import extras
from fraud_detection.extras import Encoding
from paceline.errors import PacelineError

TABLE = pl.DataFrame(
    {
        "amount": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "extra_kind": ["b", "a", "b", None, "c", "a"],
        "extra_age": pl.Series([5.0, 7.0, None, 6.0, -100.0, None], dtype=pl.Float32),
        "extra_empty": pl.Series([None] * 6, dtype=pl.Float32),
    }
)
TRAINING = np.arange(4)


def test_categories_are_coded_by_frequency_in_the_training_window() -> None:
    """The most frequent is 1; what the window does not hold, or is missing, is 0; ties go by name."""
    made = extras.learn(TABLE, TRAINING).extend(TABLE.select("amount"), TABLE)
    assert [1, 2, 1, 0, 0, 2] == made["extra_kind"].to_list()


def test_missing_numbers_lie_below_all_that_were_seen() -> None:
    """Numbers stay as they are; a missing one is one less than the least of the window."""
    made = extras.learn(TABLE, TRAINING).extend(TABLE.select("amount"), TABLE)
    assert [5, 7, 4, 6, -100, 4] == made["extra_age"].to_list()
    assert {-1.0} == set(made["extra_empty"])
    assert ["amount", "extra_age", "extra_empty", "extra_kind"] == made.columns
    assert 0 == made.null_count().to_numpy().sum()


def test_nothing_after_the_window_changes_a_code() -> None:
    """With anything else in the later rows, the earlier rows' features are the same."""
    later = pl.int_range(pl.len()) >= 4
    changed = TABLE.with_columns(
        pl.when(later).then(pl.lit("zz")).otherwise("extra_kind").alias("extra_kind"),
        pl.when(later).then(pl.lit(-1e6)).otherwise("extra_age").cast(pl.Float32).alias("extra_age"),
    )
    first, second = (extras.learn(table, TRAINING) for table in (TABLE, changed))
    assert first == second
    assert first.extend(TABLE, TABLE).head(4).equals(second.extend(changed, changed).head(4))


def test_state_survives_json() -> None:
    """What the run record holds gives the same encoding; a run without further columns gives an empty one."""
    encoding = extras.learn(TABLE, TRAINING)
    assert encoding == Encoding.from_state(json.loads(json.dumps(encoding.state())))
    nothing = Encoding.from_state({})
    assert TABLE.select("amount").equals(nothing.extend(TABLE.select("amount"), TABLE))


def test_a_table_without_further_columns_needs_no_encoding() -> None:
    """The usual features stay as they are."""
    assert Encoding({}, {}) == extras.learn(TABLE.select("amount"), TRAINING)


def test_a_column_that_is_gone_is_refused() -> None:
    """New data without a column of the training is an error with the column's name in the file."""
    with pytest.raises(PacelineError, match="no column 'age'"):
        extras.learn(TABLE, TRAINING).extend(TABLE, TABLE.drop("extra_age"))
