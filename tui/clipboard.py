"""Copying from a machine at the other end of a line: the terminal's clipboard, and a file.

A terminal never says whether it took a copy, and many do not. So what is copied is also kept in a
file of the user's own, whose path the deck shows.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.paths import home_relative, private_dir

MOST_BYTES: Final = 74_994
"""What fits into the 100,000 characters that xterm and tmux take in one OSC 52."""

_SCREEN_CHUNK: Final = 700
_TMUX_TIMEOUT_S: Final = 2.0


class CopyFailed(ModeldeckError):
    """The copy could not be kept in a file."""


def clipboard_sequences(text: str, environ: Mapping[str, str]) -> str:
    """The escape sequences that hand ``text`` to the terminal (OSC 52); empty when it is too long.

    GNU screen takes them in pieces of a device control string. tmux takes OSC 52 itself where
    ``set-clipboard`` is on, and passes the wrapped one on where ``allow-passthrough`` is.
    """
    data = text.encode("utf-8", "replace")
    if len(data) > MOST_BYTES:
        return ""
    plain = f"\x1b]52;c;{base64.b64encode(data).decode('ascii')}\x07"
    if environ.get("TMUX"):
        doubled = plain.replace("\x1b", "\x1b\x1b")
        return f"{plain}\x1bPtmux;{doubled}\x1b\\"
    if environ.get("STY"):
        return "".join(f"\x1bP{chunk}\x1b\\" for chunk in _chunks(plain))
    return plain


def _chunks(text: str) -> Iterator[str]:
    for start in range(0, len(text), _SCREEN_CHUNK):
        yield text[start : start + _SCREEN_CHUNK]


def hand_to_tmux(text: str, environ: Mapping[str, str]) -> bool:
    """Give ``text`` to the tmux we run in, which keeps it and hands it to its own terminal.

    Works with tmux's defaults, where OSC 52 from inside is ignored. False outside of tmux, and
    where its program is missing or too old for ``load-buffer -w`` (3.2).
    """
    if not environ.get("TMUX"):
        return False
    try:
        done = subprocess.run(
            ["tmux", "load-buffer", "-w", "-"],  # noqa: S607
            input=text.encode("utf-8", "replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TMUX_TIMEOUT_S,
            check=False,
            env=dict(environ),
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def keep_copy(text: str, folder: Path) -> Path:
    """Write ``text`` into ``folder/copied.txt`` (0600), in place of what was copied before.

    Raises:
        CopyFailed: it cannot be written.
    """
    path = folder / "copied.txt"
    try:
        private_dir(folder)
        temporary = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        raise CopyFailed(
            f"What was copied could not be kept in {home_relative(path)} ({error.strerror}).",
            "Make room there, or select the text with the mouse while holding shift.",
        ) from error
    return path


def copied_sentence(what: str, *, sent: bool, path: Path | None) -> str:
    """What the user is told: where the copy is."""
    kept = f" It is also in {home_relative(path)}." if path else ""
    if sent:
        return f"Sent {what} to the terminal's clipboard.{kept}"
    only = f"It is in {home_relative(path)}." if path else ""
    return f"This is too long for the terminal's clipboard: {what}. {only}".strip()
