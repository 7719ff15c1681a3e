"""Real formats to one table of transactions."""

from __future__ import annotations

import polars as pl

from fraud_detection import synthetic
from fraud_detection.config import Data
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine


def load(config: Data, quarantine: Quarantine) -> pl.DataFrame:
    """Return the configured transactions in the order of time, ties by `transaction_id`."""
    if config.source != "synthetic":
        raise PacelineError(f"data.source = '{config.source}' cannot be read yet.", "Use synthetic.")
    table = synthetic.generate(config)
    quarantine.count(read=len(table), kept=len(table))
    return table
