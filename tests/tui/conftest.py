"""What every test of the face can use."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.support.screens import ScreenCheck, screen_check


@pytest.fixture
def same_screen(snapshot: SnapshotAssertion) -> ScreenCheck:
    """Compare the screen of a running app with what was kept of it, as text and as SVG."""
    return screen_check(snapshot)
