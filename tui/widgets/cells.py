"""Text made to take up an exact number of terminal cells, on every terminal alike."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal

from rich.cells import cell_len, split_graphemes

Align = Literal["left", "right"]

# Variation selectors and skin tones change how wide an emoji is, on some terminals and not on
# others; without them every terminal agrees.
_WIDTH_CHANGERS: Final = re.compile("[\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]")


def _stand_in(character: str) -> str:
    if character.isprintable():
        return character
    match unicodedata.category(character)[0]:
        case "Z":
            return " "
        case "C" if unicodedata.category(character) in {"Cc", "Cf"}:
            return " " if character in "\t\n" else ""
        case _:
            return "\ufffd"


def steady(text: str) -> str:
    """``text`` without what terminals disagree on the width of.

    Joiners, format characters, variation selectors and skin tones go; other spaces become spaces;
    private and unassigned characters become U+FFFD.
    """
    if text.isascii() and text.isprintable():
        return text
    return _WIDTH_CHANGERS.sub("", "".join(map(_stand_in, text)))


def fit(text: str, width: int, align: Align = "left") -> str:
    """``text`` on exactly ``width`` cells: padded, or cut between graphemes and marked ``…``."""
    if width <= 0:
        return ""
    text = steady(text)
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        text, length = _cut(text, width - 1)
        text, length = text + "…", length + 1
    padding = " " * (width - length)
    return padding + text if align == "right" else text + padding


def _cut(text: str, width: int) -> tuple[str, int]:
    if text.isascii():
        return text[:width], width
    end = used = 0
    for _, grapheme_end, cells in split_graphemes(text)[0]:
        if used + cells > width:
            break
        end, used = grapheme_end, used + cells
    return text[:end], used
