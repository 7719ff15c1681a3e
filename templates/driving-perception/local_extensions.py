"""What the templates' Jinja needs beyond Cookiecutter's own; the same file in every template."""

from __future__ import annotations

import os
import re

from jinja2 import Environment
from jinja2.ext import Extension


def markdown(text: str) -> str:
    r"""Return `text` so that Markdown shows it as it is.

    >>> print(markdown("a *b* <script> [c]"))
    a \*b\* \<script\> \[c\]
    """
    return re.sub(r"([\\`*_\[\]<>#|~&!$])", r"\\\1", text)


class ProjectText(Extension):
    """Lets answers stand in any file, and the hooks find the template they belong to.

    - `getcwd()`: hooks are rendered with the template's folder as working directory, and run in the project's. That is
      the one way to the template that works for a local path, a git address, a zip file and cruft alike.
    - `tojson` leaves characters outside ASCII as they are: TOML knows no surrogate pairs, so an escaped emoji would be
      invalid there.
    - `markdown`: a filter, see the function.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals["getcwd"] = os.getcwd
        environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
        environment.filters["markdown"] = markdown
