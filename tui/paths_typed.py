"""Paths as people type, paste and drop them into a terminal."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from modeldeck.engines.images import SUFFIXES

_MOST_CHARACTERS: Final = 1000
_MOST_ENTRIES: Final = 10_000
_ENDINGS: Final = frozenset({*SUFFIXES.values(), ".jpeg"})


def typed_path(text: str) -> Path | None:
    """The path that a text is: quoted, with escaped blanks, with ``~`` or as a ``file:`` URI.

    None for what can be none: several lines, or far too long. Whether it exists is not asked.
    """
    text = text.strip()
    if not text or "\n" in text or len(text) > _MOST_CHARACTERS:
        return None
    if text.startswith("file://"):
        return Path(unquote(urlsplit(text).path))
    if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]:
        text = text[1:-1]
    else:
        text = re.sub(r"\\(.)", r"\1", text)
    try:
        return Path(text).expanduser()
    except RuntimeError:  # a home that is not known
        return None


def completed(typed: str) -> str | None:
    """``typed`` with the rest of the first folder or image that begins so; None without one.

    Reads the folder: not for the event loop.
    """
    path = typed_path(typed)
    if path is None or not typed or typed[0] in "'\"" or typed.startswith("file://"):
        return None
    folder, begun = (path, "") if typed.endswith("/") else (path.parent, path.name)
    try:
        entries = list(islice(folder.iterdir(), _MOST_ENTRIES))
    except (OSError, ValueError):
        return None
    hidden = begun.startswith(".")
    fitting = sorted(
        entry
        for entry in entries
        if entry.name.startswith(begun) and (hidden or not entry.name.startswith("."))
    )
    for entry in fitting:
        is_folder = entry.is_dir()
        rest = entry.name[len(begun) :]
        if (is_folder or entry.suffix.lower() in _ENDINGS) and entry.name.isprintable():
            return typed + rest + ("/" if is_folder else "")
    return None
