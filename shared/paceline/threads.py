"""How numerical libraries wait for their threads, settled before they are loaded.

OpenMP (XGBoost) and OpenBLAS (NumPy, scikit-learn) keep a core busy while they wait for each other. On a machine that
is shared they wait for a thread that has no core, and burn the others' time: beside other work on its two cores a fraud
run of 8 s took 90 s (2026-11-23). Sleeping instead of spinning, and one thread for the small products of linear algebra
that metrics and linear models make, brought it to between 9 and 15 s.
"""

from __future__ import annotations

import os

DEFAULTS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}


def settle() -> None:
    """Set the defaults that the environment does not set; without effect on libraries that are loaded already."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
