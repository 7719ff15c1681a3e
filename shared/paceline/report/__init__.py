"""The report: a run record as one HTML file that opens offline, runs side by side, and an index of all runs.

`render`, `compare` and `index` are pure functions of records. What they say is computed in `sections` and `curves`,
charts are drawn in `svg` from the plain specifications of `figure`, `page` puts them into the templates.
"""

from paceline.report import figure
from paceline.report.curves import diagnosis
from paceline.report.folder import write, write_sheet
from paceline.report.page import compare, index, render, sheet

__all__ = ["compare", "diagnosis", "figure", "index", "render", "sheet", "write", "write_sheet"]
