"""Time the fraud template's simulators: transactions a second of one core, and the peak memory of the process.

Each works alone in a fresh process with one thread, everything switched on as the defaults have it; the best CPU time
of three repetitions counts, so that other work on the machine counts less.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

from results import save

REPETITIONS = 3
SIMULATORS = {  # name: what `data` is set to, the population of the Handbook in both
    "portfolio": {"customers": 7_800, "terminals": 10_000, "days": 183},
    "handbook": {"simulator": "handbook", "customers": 5_000, "terminals": 10_000, "days": 183},
}


def main() -> None:
    """Measure each simulator, print it, and keep the figures."""
    rows = {}
    for name in SIMULATORS:
        environment = os.environ | {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, name]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)  # noqa: S603 -- this file
        rows[name] = json.loads(done.stdout)
        print(name, rows[name], flush=True)
    save("simulator", {"rows": rows, "repetitions": REPETITIONS})


def alone(name: str) -> None:
    """Print what the simulator `name` takes, as JSON."""
    from fraud_detection import synthetic
    from fraud_detection.config import Data

    config = Data.model_validate(SIMULATORS[name])
    seconds = []
    for _ in range(REPETITIONS):
        before = time.process_time()
        table = synthetic.generate(config)
        seconds.append(time.process_time() - before)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    share = float(table["fraud"].mean() or 0.0)
    print(json.dumps({"transactions": table.height, "cpu_seconds": min(seconds), "peak_mb": peak_mb, "frauds": share}))


if __name__ == "__main__":
    if sys.argv[1:]:
        alone(sys.argv[1])
    else:
        main()
