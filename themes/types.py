"""What a theme is: a colour for every token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

TOKENS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "background": "behind everything",
        "surface": "bars and fields",
        "panel": "boxes on top of the rest",
        "foreground": "text",
        "muted": "text that steps back: headings, units, hints",
        "dim": "text that is off",
        "rule": "lines between panes",
        "primary": "the accent: focus, keys, the number that matters",
        "secondary": "a second accent, used sparingly",
        "success": "good news",
        "warning": "news to heed",
        "error": "bad news",
        "cursor": "behind the row under the cursor",
        "cursor-text": "text of that row",
        "cursor-blurred": "the same while another part of the screen has the keys",
        "selection": "behind selected text",
        "selection-text": "selected text",
        "verdict-fits": "fits",
        "verdict-experts": "fits with experts on the CPU",
        "verdict-partial": "fits in part",
        "verdict-cpu": "CPU only",
        "verdict-no": "does not fit, or cannot run",
        "verdict-unknown": "not judged",
        "bar-weights": "weights in the memory bar",
        "bar-kv": "KV cache in the memory bar",
        "bar-compute": "compute buffers in the memory bar",
        "bar-context": "the CUDA context in the memory bar",
        "bar-other": "other processes and the margin in the memory bar",
        "bar-free": "free memory in the memory bar",
        "meter": "gauges and sparklines",
    }
)
"""Every token a theme has a colour for, and what it is for."""


@dataclass(frozen=True, slots=True)
class ThemeData:
    """A theme as its file says, with what it inherits filled in.

    Attributes:
        name: the file's stem; what settings and the palette call it.
        dark: light text on a dark background.
        ansi: made of the terminal's own sixteen colours.
        colors: token to ``#rrggbb`` or, in an ANSI theme, a colour's name (``default``,
            ``blue``, ``bright_black``); every token of ``TOKENS`` is there.
    """

    name: str
    dark: bool
    ansi: bool
    colors: Mapping[str, str]
