"""The terminal's side of the deck: the environment Textual reads at import, and signals.

``prepare_environment`` must run before Textual is imported: it reads these variables once.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Generator, Mapping, MutableMapping
from typing import Literal

LOCAL_BATCH_MS = 100
SSH_BATCH_MS = 250


def over_ssh(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is at the other end of an SSH or mosh connection."""
    return any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY", "MOSH_CONNECTION"))


def batch_ms(environ: Mapping[str, str]) -> int:
    """How long to gather streamed text before it is drawn, in milliseconds."""
    return SSH_BATCH_MS if over_ssh(environ) else LOCAL_BATCH_MS


def prepare_environment(environ: MutableMapping[str, str], color: ColorChoice = "auto") -> None:
    """Set Textual's defaults for a deck: no animations, fewer frames over a slow line, colours.

    What the user has set is left alone.
    """
    environ.setdefault("TEXTUAL_COLOR_SYSTEM", color_system(environ, color))
    if color == "none":
        environ["NO_COLOR"] = "1"
    environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    environ.setdefault("TEXTUAL_FPS", "15" if over_ssh(environ) else "60")


ColorChoice = Literal["auto", "truecolor", "256", "16", "none"]
_TRUECOLOR_TERMS = ("alacritty", "foot", "ghostty", "kitty", "wezterm", "contour", "iterm2")


def color_system(environ: Mapping[str, str], choice: ColorChoice = "auto") -> str:
    """Textual's name for how many colours to send: ``truecolor``, ``256``, ``standard``, ``auto``.

    SSH passes TERM on and loses COLORTERM, so terminals that are known by TERM are given what they
    can do. Inside tmux and screen the environment decides as it does for every program.
    """
    if choice != "auto":
        return {"16": "standard", "none": "standard"}.get(choice, choice)
    term = environ.get("TERM", "").lower()
    if environ.get("TMUX") or environ.get("STY"):
        return "auto"
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return "truecolor"
    if term.endswith("-direct") or term.removeprefix("xterm-").startswith(_TRUECOLOR_TERMS):
        return "truecolor"
    return "auto"


def default_theme(colors: str | None) -> str:
    """The theme of a user who chose none: 16 colours are best the terminal's own."""
    return "deck-ansi" if colors in ("standard", "windows", None) else "deck-dark"


def unusable_terminal(environ: Mapping[str, str], encoding: str) -> tuple[str, str] | None:
    """Why the deck cannot be drawn here, and what to do; None where it can."""
    if environ.get("TERM", "") in ("", "dumb", "unknown"):
        return (
            f"The terminal calls itself “{environ.get('TERM') or 'nothing'}”, which cannot draw.",
            "use a command such as modeldeck ls, or: export TERM=xterm-256color",
        )
    if encoding.lower().replace("-", "").replace("_", "") != "utf8":
        return (
            f"The terminal's characters are {encoding}, and the deck needs UTF-8.",
            "export LC_ALL=C.UTF-8, then start modeldeck again",
        )
    return None


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
