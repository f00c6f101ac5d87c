"""Text that came from a model, a file name, a header or a server is data: made harmless here.

The one boundary every outside string passes before it is stored in a snapshot or shown.
"""

from __future__ import annotations

import re
from typing import Final

# C0 without tab and newline, DEL, C1, then what reorders or hides text without being visible:
# bidi embeddings, overrides and isolates, the bidi marks, line and paragraph separators, BOM,
# interlinear annotation and lone surrogates.
UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""A character that must never reach a terminal from data; tabs and newlines are not among them."""

_BREAKS: Final = re.compile(r"[\t\n\r]+")


def clean(text: str) -> str:
    """``text`` without control, bidi-control and surrogate characters; tabs and newlines stay.

    A carriage return, with or without a line feed, becomes a line feed. Never raises.
    """
    if text.isprintable():
        return text
    return UNSAFE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def clean_line(text: str, limit: int = 300) -> str:
    """``text`` cleaned, on one line, at most ``limit`` characters (a cut is marked ``…``)."""
    line = clean(_BREAKS.sub(" ", text)).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"
