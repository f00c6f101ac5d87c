"""Opens the deck in the terminal and leaves the terminal as it was, whatever ends it."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from typing import TYPE_CHECKING

from modeldeck.tui.opening import open_services
from modeldeck.tui.printing import complain, note
from modeldeck.tui.services import Services
from modeldeck.tui.terminal import (
    ending_signals,
    prepare_environment,
    terminal_is_usable,
    unusable_terminal,
)

if TYPE_CHECKING:
    from argparse import Namespace

    from modeldeck.tui.plain_start import PlainStart

_STARTED_S = 1.0


def open_deck(options: Namespace | PlainStart) -> int:
    """Run the deck until the user or a signal ends it. Returns the exit code.

    Raises:
        ModeldeckError: the deck cannot be opened.
    """
    if not terminal_is_usable():
        complain("The deck needs a terminal on standard input and output.")
        from modeldeck.tui.actions import COMMANDS

        names = ", ".join(command.name for command in COMMANDS)
        note(f"next: use a command instead: {names}; see modeldeck --help")
        return 2
    if (reason := unusable_terminal(os.environ, sys.stdout.encoding)) is not None:
        complain(reason[0])
        note(f"next: {reason[1]}")
        return 2
    with open_services(options) as services:
        settings = services.settings
        prepare_environment(os.environ, settings.color)
        services.scan_early()
        mouse = settings.mouse and not options.no_mouse
        return asyncio.run(_run(services, mouse=mouse))


async def _run(services: Services, *, mouse: bool) -> int:
    from modeldeck.tui.app import DeckApp  # Textual: about 0.3 s
    from modeldeck.tui.dry_runs import DryRuns

    dry_runs = DryRuns()
    app = DeckApp(services, dry_runs)
    asyncio.get_running_loop().call_later(_STARTED_S, _collect_garbage)

    def end(number: int) -> None:
        app.exit(128 + number)

    try:
        with ending_signals(end):
            code = await app.run_async(mouse=mouse)
    finally:
        problem = app.close_talk()
        dry_runs.rest()
        await services.close_engines()
        if problem is not None:
            complain(problem.cause)
            note(f"next: {problem.next_step}")
    return app.return_code or 0 if code is None else code


def _collect_garbage() -> None:
    """What the start has made stays; only what comes after it is looked through."""
    gc.freeze()
    gc.enable()
