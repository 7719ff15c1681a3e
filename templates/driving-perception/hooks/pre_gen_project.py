"""Refuses answers that cannot become a project: all of them at once, each with a way out.

The same file in every template. Standard library alone; prints ASCII, whatever the answers hold.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

# Rendered by Cookiecutter. JSON pairs backslashes as a raw string does, and never has three bare quotes in a row, so no
# answer can end the literals.
ANSWERS: dict[str, Any] = json.loads(
    r"""
{{ cookiecutter | tojson }}
"""
)
TEMPLATE = Path(
    json.loads(
        r"""
{{ getcwd() | tojson }}
"""
    )
)

WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
LEFTOVERS = ("runs", ".venv", "dist", "build")


def slug_problem(slug: str, taken: set[str]) -> str | None:
    """Return what keeps `slug` from being a folder and a distribution's name, with a suggestion, or None."""
    suggestion = re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-")[:60].strip("-") or "my-project"
    if suggestion in taken or suggestion in WINDOWS_DEVICES:
        suggestion += "-project"
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug):
        return f"it may hold lower-case letters, digits and single hyphens between them. Try {suggestion!r}."
    if len(slug) > 60:
        return f"it has {len(slug)} characters; 60 are allowed. Try {suggestion!r}."
    if slug in taken:
        return f"a package that the project depends on has this name. Try {suggestion!r}."
    if slug in WINDOWS_DEVICES:
        return f"Windows keeps this name for a device. Try {suggestion!r}."
    return None


def text_problem(text: str) -> str | None:
    """Return what keeps `text` from standing in a line of a TOML, Markdown or licence file, or None."""
    if not text.strip():
        return "it is empty. Write a word or two."
    if any(character < " " or "\x7f" <= character <= "\x9f" or character in "\u2028\u2029" for character in text):
        return "it holds a line break or a control character. Write it in one line."
    if len(text) > 500:
        return f"it has {len(text)} characters; 500 are allowed. Put the rest into the README."
    return None


def dependencies(project: Path) -> set[str]:
    """Return the names that the locks of a template's `project` folder install, and the library's own."""
    names = {"paceline"}
    for lock in (project / "locks").glob("*.txt"):
        names.update(re.findall(r"^([a-z0-9-]+)==", lock.read_text(encoding="utf-8"), flags=re.MULTILINE))
    return names


def problems(answers: dict[str, Any], template: Path) -> list[str]:
    """Return every reason not to generate from `template` with `answers`."""
    project = template / "{% raw %}{{cookiecutter.project_slug}}{% endraw %}"
    found = []
    for question in ("project_name", "description", "author"):
        problem = text_problem(answers[question])
        if problem:
            found.append(f"{question} = {answers[question][:80]!r}: {problem}")
    problem = slug_problem(answers["project_slug"], dependencies(project))
    if problem:
        found.append(f"project_slug = {answers['project_slug'][:80]!r}: {problem}")
    for name in LEFTOVERS:
        if (project / name).exists():
            found.append(f"the template holds a folder '{name}', which would be copied. Delete it: {project / name}")
    return found


if __name__ == "__main__":
    found = problems(ANSWERS, TEMPLATE)
    for line in found:
        print("ERROR: " + line.encode("ascii", "backslashreplace").decode(), file=sys.stderr)
    sys.exit(1 if found else 0)
