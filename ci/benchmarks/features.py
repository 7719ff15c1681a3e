"""Time the fraud template's features on 1.75 million transactions, beside Polars' own rolling windows.

Each contender works alone in a fresh
process, on the same file of transactions; the best of three repetitions counts, and peak memory is the whole process's,
the table included. The alternative computes what the Handbook does, windows of delay + w less windows of delay, with
`rolling_sum_by(...).over(...)`; it knows one constant delay only, so the labels here have one.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from fraud_detection import features, synthetic
from fraud_detection.config import Data
from results import save

ROWS = 1_754_155  # of the Handbook's whole data set
REPETITIONS = 3
# Of the size of the Handbook's population in days and terminals; enough cards for the rows with some to spare.
CONFIG = Data(customers=7_800, terminals=10_000, days=183)


def main(rows: int) -> None:
    """Compare the contenders, print a line for each and the ratio, and check that they agree."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "transactions.parquet"
        table = synthetic.generate(CONFIG).head(rows).drop("device_id")  # the Handbook knows no devices
        delay = pl.duration(days=CONFIG.label_delay_days)
        table.with_columns(labelled_at=pl.col("datetime") + delay).write_parquet(path)
        results = {}
        for name in CONTENDERS:
            command = [sys.executable, __file__, name, str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 -- this file
            results[name] = json.loads(done.stdout)
        ours = pl.read_parquet(path.with_suffix(".features.parquet"))
        other = pl.read_parquet(path.with_suffix(".rolling.parquet"))
        alone = table.select(~pl.struct("customer_id", "datetime").is_duplicated()).to_series()
        apart = np.abs((ours.select(other.columns) - other).filter(alone).to_numpy()).max()
    print(f"{table.height:,} transactions, {ours.width} features, windows of {CONFIG.windows_days} days")
    for name, result in results.items():
        seconds, peak = result["seconds"], result["peak_mb"]
        print(f"{name:9} {seconds:7.2f} s {table.height / seconds:12,.0f} rows/s {peak:7,.0f} MB peak")
    ratio = results["rolling"]["seconds"] / results["features"]["seconds"]
    print(f"ratio     {ratio:.1f} times as fast as Polars' rolling windows")
    print(f"largest difference outside ties within one moment of one card: {apart:.1e}")
    save("features", {"transactions": table.height, **results, "ratio": ratio, "largest_difference": apart})


def compute(table: pl.DataFrame) -> pl.DataFrame:
    """Return the template's features."""
    return features.compute(table, CONFIG)


def rolling(table: pl.DataFrame) -> pl.DataFrame:
    """Return the window features by Polars' rolling expressions."""
    delay = CONFIG.label_delay_days

    def over(column: str, days: int, key: str) -> pl.Expr:
        return pl.col(column).rolling_sum_by("datetime", f"{days}d").over(key)

    columns = {}
    for days in CONFIG.windows_days:
        count = over("one", days, "customer_id")
        columns[f"customer_count_{days}d"] = count
        columns[f"customer_mean_amount_{days}d"] = over("amount", days, "customer_id") / count
        labels = over("one", delay + days, "terminal_id") - over("one", delay, "terminal_id")
        frauds = over("label", delay + days, "terminal_id") - over("label", delay, "terminal_id")
        columns[f"terminal_count_{days}d"] = labels
        columns[f"terminal_risk_{days}d"] = pl.when(labels > 0).then(frauds / labels).otherwise(0.0)
    return table.with_columns(one=1.0, label=pl.col("fraud").cast(pl.Float64)).select(**columns)


CONTENDERS = {"features": compute, "rolling": rolling}


def child(name: str, path: Path) -> None:
    """Time one contender and print its figures as JSON."""
    table = pl.read_parquet(path)
    seconds = []
    for _ in range(REPETITIONS):
        before = time.perf_counter()
        result = CONTENDERS[name](table)
        seconds.append(time.perf_counter() - before)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)
    result.write_parquet(path.with_suffix(f".{name}.parquet"))
    print(json.dumps({"seconds": float(np.min(seconds)), "peak_mb": peak * (1e-6 if sys.platform == "darwin" else 1)}))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        child(sys.argv[1], Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) == 2 else ROWS)
