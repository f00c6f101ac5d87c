"""What ``make engines`` has put below ``.venv/engines``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ENGINES = Path(sys.prefix) / "engines"


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder of llama.cpp's own programs."""
    folder = ENGINES / "llama.cpp" / "bin"
    assert folder.is_dir(), "Run `make engines`, which builds them."
    return folder
