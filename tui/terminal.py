"""The terminal's side of the deck: the environment Textual reads at import, and signals.

``prepare_environment`` must run before Textual is imported: it reads these variables once.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Generator, Mapping, MutableMapping

LOCAL_BATCH_MS = 100
SSH_BATCH_MS = 250


def over_ssh(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is at the other end of an SSH or mosh connection."""
    return any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY", "MOSH_CONNECTION"))


def batch_ms(environ: Mapping[str, str]) -> int:
    """How long to gather streamed text before it is drawn, in milliseconds."""
    return SSH_BATCH_MS if over_ssh(environ) else LOCAL_BATCH_MS


def prepare_environment(environ: MutableMapping[str, str]) -> None:
    """Set Textual's defaults for a deck: no animations, and fewer frames over a slow line.

    What the user has set is left alone.
    """
    environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    environ.setdefault("TEXTUAL_FPS", "15" if over_ssh(environ) else "60")


@contextlib.contextmanager
def ending_signals(end: Callable[[int], None]) -> Generator[None]:
    """Call ``end(signal number)`` on SIGTERM and SIGHUP while the block runs.

    Textual installs no handler for either, so that without this the terminal would be left in
    the alternate screen with the mouse on (Textualize/textual 5140).
    """
    import asyncio  # 25 ms that commands without an engine do not need

    loop = asyncio.get_running_loop()
    caught = (signal.SIGTERM, signal.SIGHUP)
    for number in caught:
        loop.add_signal_handler(number, end, int(number))
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)


def terminal_is_usable() -> bool:
    """Whether standard input and output are both a terminal."""
    return os.isatty(0) and os.isatty(1)
