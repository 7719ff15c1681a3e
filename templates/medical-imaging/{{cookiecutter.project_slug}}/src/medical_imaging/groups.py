"""The groups between which a model's errors may differ: site, sex, age band, view."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_imaging.cohort import Cohort, Split

AGES_YEARS = (18, 40, 60, 75)  # where a band ends and the next begins
MOST_GROUPS = 50
FEWEST_PATIENTS = 3  # to a group, on average


def of(cohort: Cohort, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the groups of some rows of `cohort`, texts by what they are grouped by, empty where it is not known."""
    found = {"site": cohort.sites, "sex": cohort.sex, "view": cohort.view}
    groups = {name: values[rows] for name, values in found.items() if values is not None and are_groups(cohort, values)}
    if cohort.age_years is not None:
        groups["age"] = _bands(cohort.age_years[rows])
    return {name: values for name, values in groups.items() if len({str(value) for value in values} - {""}) > 1}


def by_part(cohort: Cohort, split: Split) -> list[tuple[NDArray[np.int64], dict[str, NDArray[Any]]]]:
    """Return the rows of the test with their groups, and apart those of the external site, with its name as one.

    A group of both together would be neither what the model was made for nor what it meets elsewhere.
    """
    parts = [(split.test, of(cohort, split.test))]
    if len(split.external) and cohort.sites is not None:
        site = cohort.sites[split.external]
        apart = {f"external {name}": values for name, values in of(cohort, split.external).items() if name != "site"}
        parts.append((split.external, ({"external site": site} if are_groups(cohort, cohort.sites) else {}) | apart))
    return parts


def are_groups(cohort: Cohort, values: NDArray[Any]) -> bool:
    """Return whether `values`, one an image, name groups: where they are many for the patients they may be people."""
    count = len({str(value) for value in values})
    return count <= min(MOST_GROUPS, max(2, len(np.unique(cohort.patients)) // FEWEST_PATIENTS))


def _bands(ages: NDArray[np.float64]) -> NDArray[np.object_]:
    names = [f"under {AGES_YEARS[0]}", *(f"{low} to {high - 1}" for low, high in pairwise(AGES_YEARS))]
    names += [f"{AGES_YEARS[-1]} and older", ""]
    place = np.where(np.isnan(ages), len(names) - 1, np.digitize(np.nan_to_num(ages), AGES_YEARS))
    return np.asarray(names, dtype=object)[place]
