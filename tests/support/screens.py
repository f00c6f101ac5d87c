"""What a running app shows, as text and as a picture, compared with what was kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.app import App
from textual.pilot import Pilot

_UNIQUE = re.compile(r"terminal-\d+")


class TextScreen(SingleFileSnapshotExtension):
    """A screen as plain text: one file each, readable in a diff."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


class PictureScreen(SingleFileSnapshotExtension):
    """A screen with its colours, as SVG."""

    _write_mode = WriteMode.TEXT
    file_extension = "svg"


def screen_text(app: App[Any]) -> str:
    """The screen line by line, without blanks at the ends of lines."""
    rows = app.screen._compositor.render_strips()  # pyright: ignore[reportPrivateUsage]
    return "\n".join("".join(s.text for s in strip).rstrip() for strip in rows) + "\n"


def screen_svg(app: App[Any]) -> str:
    """The screen as SVG, the same for the same screen."""
    return _UNIQUE.sub("terminal", app.export_screenshot(title="modeldeck", simplify=True))


ScreenCheck = Callable[[Pilot[Any]], None]


def screen_check(snapshot: SnapshotAssertion) -> ScreenCheck:
    """A check that the screen under ``pilot`` is as kept, as text and as SVG.

    Tests of the face have it as the fixture ``same_screen``. Wait until the app is at rest before;
    ``pytest --snapshot-update`` keeps a new look.
    """

    def check(pilot: Pilot[Any]) -> None:
        assert screen_text(pilot.app) == snapshot(extension_class=TextScreen)
        assert screen_svg(pilot.app) == snapshot(extension_class=PictureScreen)

    return check
