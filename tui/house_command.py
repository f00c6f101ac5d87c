"""The commands that keep the disk in order: each has a module, imported when it is run."""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from pathlib import Path

from modeldeck.engines.catalog.places import Place, default_places
from modeldeck.engines.house.trash import empty, trashes
from modeldeck.engines.house.turns import home_trash, my_turn
from modeldeck.tui.services import Services


def run_house(name: str, services: Services, options: argparse.Namespace) -> int:
    """Run one of the commands. Returns the exit code. Raises ModeldeckError."""
    places = default_places(services.settings.model_dirs, os.environ, Path.home())
    empty_trash(places, services.settings.trash_days)
    undoes = name == "dedupe" and options.undo
    changes = name == "import" or undoes or getattr(options, "apply", False)
    with my_turn() if changes else contextlib.nullcontext():
        return _run(name, services, places, options)


def _run(
    name: str, services: Services, places: tuple[Place, ...], options: argparse.Namespace
) -> int:
    match name:
        case "ls":
            from modeldeck.tui.disk_command import run_disk

            return run_disk(services, places, options)
        case "prune":
            from modeldeck.tui.prune_command import run_prune

            return run_prune(places, options)
        case "import":
            from modeldeck.tui.import_command import run_import

            return run_import(services, places, options)
        case "updates":
            from modeldeck.tui.updates_command import run_updates

            return run_updates(places, options)
        case "dedupe":
            from modeldeck.tui.dedupe_command import run_dedupe

            return run_dedupe(places, options)
        case _:
            from modeldeck.tui.rm_command import run_rm

            return run_rm(services, places, options)


def empty_trash(places: tuple[Place, ...], days: int) -> None:
    """Delete for good what has been in the trash for longer than ``days``."""
    empty(trashes(places, home_trash()), time.time(), days)
