"""`config.toml` and `driving_perception.config` say the same."""

from __future__ import annotations

from pathlib import Path

import paceline.config
from driving_perception.config import Config

CONFIG_FILE = Path(__file__).parent.parent / "config.toml"


def test_config_file_holds_the_defaults_with_their_comments() -> None:
    """The file is what `dump` writes of the defaults: every key and no other, with its value and its comment."""
    assert paceline.config.dump(Config()) == CONFIG_FILE.read_text(encoding="utf-8"), (
        'write it anew: python -c "from driving_perception.config import Config; from paceline.config import dump; '
        "open('config.toml', 'w').write(dump(Config()))\""
    )


def test_config_file_loads_as_the_defaults() -> None:
    """A project that has changed nothing runs with the defaults of the code."""
    assert Config() == paceline.config.load(Config, CONFIG_FILE)
