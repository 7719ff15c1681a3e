"""Secrets that a configuration or a command line may hold, kept out of everything that people pass on."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

HIDDEN = "(hidden)"
_KEY = re.compile(r"passw|secret|token|api_?key|credential|private_?key", re.IGNORECASE)
# Repeats are bounded: a long text without a match would otherwise take quadratic time.
_IN_URL = re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]{0,30}://)[^\s/@]{1,300}@")
_IN_TEXT = re.compile(
    r"(?P<key>(?:passw|secret|token|api_?key|credential)\w{0,30}\s{0,3}[=:]\s{0,3})[^\s,;]+", re.IGNORECASE
)


def settings(command: str, keys: Sequence[str]) -> str:
    """Return a command line with what it sets `keys` to hidden.

    >>> settings("train --set 'data.path=/scans of Smith' --set=data.path=x --set train.seed=1", ["data.path"])
    'train --set data.path=(hidden) --set=data.path=(hidden) --set train.seed=1'
    """
    setting = re.compile(rf"(--set=)?({'|'.join(map(re.escape, keys))})\s*=")
    if not keys or not any(key in command for key in keys):
        return command
    try:
        words = shlex.split(command)
    except ValueError:  # no command line after all
        return HIDDEN
    found = [(word, setting.match(word.lstrip())) for word in words]
    return " ".join(f"{match[0]}{HIDDEN}" if match else shlex.quote(word) for word, match in found)


def redact(value: Any, key: str = "") -> Any:
    """Return `value` with user names and passwords in addresses, and what stands under a telling key, hidden.

    >>> redact({"tune": {"storage": "postgresql://user:pw@host/db", "api_key": "abc", "trials": 3}})
    {'tune': {'storage': 'postgresql://(hidden)@host/db', 'api_key': '(hidden)', 'trials': 3}}
    >>> redact("train --set tune.password=abc --set train.seed=1")
    'train --set tune.password=(hidden) --set train.seed=1'
    """
    if isinstance(value, dict):
        return {name: redact(item, str(name)) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item, key) for item in value]
    if isinstance(value, str) and value:
        if _KEY.search(key):
            return HIDDEN
        return _IN_TEXT.sub(rf"\g<key>{HIDDEN}", _IN_URL.sub(rf"\g<scheme>{HIDDEN}@", value))
    return value
