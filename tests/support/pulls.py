"""Pulls as the tests of them run them: reports kept, no patience."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.formats.web import Patience
from modeldeck.engines.pulls.control import Control
from modeldeck.engines.pulls.places import UNDER_WAY
from modeldeck.engines.pulls.pull import Report, run_pull
from modeldeck.engines.pulls.types import Destination, Layout, Wanted
from modeldeck.engines.pulls.wanted import wanted
from modeldeck.engines.units import MIB
from tests.support.file_server import FileServer

COMMIT = "c0ffee" + "0" * 34
HASTY = Patience(
    step_seconds=60, connect_seconds=30, pause_seconds=0.01, tries=3, longest_pause_seconds=0.1
)
CONTENT = bytes(os.urandom(MIB)) * 40
"""Five parts."""


class Told(list[Report]):
    """Reports, in their order."""

    @property
    def notes(self) -> list[str]:
        """What was noted."""
        return [report.note for report in self if report.note]


def pulled(
    want: Wanted, environ: Mapping[str, str] | None = None, control: Control | None = None
) -> tuple[tuple[Path, ...], Told]:
    told = Told()
    placed = run_pull(want, environ or {}, control or Control(), told.append, HASTY)
    return placed, told


def at_address(server: FileServer, folder: Path, path: str = "/m.gguf") -> Wanted:
    target = parse_target(f"{server.url}{path}")
    return wanted(target, Destination(Layout.FOLDER, folder), {}, patience=HASTY)


def nothing_left(folder: Path) -> bool:
    return not (folder / UNDER_WAY).exists()


def on_hub(
    server: FileServer, text: str, folder: Path, layout: Layout = Layout.HUB_CACHE
) -> tuple[Wanted, dict[str, str]]:
    environ = {"HF_ENDPOINT": server.url}
    destination = Destination(layout, folder)
    return wanted(parse_target(text), destination, environ, patience=HASTY), environ
