"""Opens the deck in the terminal and leaves the terminal as it was, whatever ends it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from modeldeck.tui.services import Services, open_services
from modeldeck.tui.terminal import ending_signals, prepare_environment, terminal_is_usable


def open_deck(options: argparse.Namespace) -> int:
    """Run the deck until the user or a signal ends it. Returns the exit code.

    Raises:
        ModeldeckError: the deck cannot be opened.
    """
    if not terminal_is_usable():
        print(  # noqa: T201
            "modeldeck: the deck needs a terminal on standard input and output.\n"
            "  next: use the commands instead (modeldeck --help): ls, chat, engines, gpu.",
            file=sys.stderr,
        )
        return 2
    prepare_environment(os.environ)
    with open_services(options) as services:
        return asyncio.run(_run(services, mouse=not options.no_mouse))


async def _run(services: Services, *, mouse: bool) -> int:
    from modeldeck.tui.app import DeckApp  # Textual: about 0.3 s

    app = DeckApp(services)

    def end(number: int) -> None:
        app.exit(128 + number)

    try:
        with ending_signals(end):
            code = await app.run_async(mouse=mouse)
    finally:
        app.talk.close()
        await services.close_engines()
    return app.return_code or 0 if code is None else code
