"""The last fence: no control character from data leaves for the terminal, whatever the widget."""

from __future__ import annotations

import re
from typing import Final

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from modeldeck.engines.text import UNSAFE

_UNSAFE_ON_A_LINE: Final = re.compile(rf"[\t\n]|{UNSAFE.pattern}")


def _blank(match: re.Match[str]) -> str:
    return " " * cell_len(match[0])


def _safe(segment: Segment) -> bool:
    style = segment.style
    if style is not None and style.link is not None and not _safe_link(style.link):
        return False
    return segment.text.isprintable()


def _safe_link(url: str) -> bool:
    """Whether a link may stand inside OSC 8: printable ASCII without spaces (OSC 8's own rule)."""
    return url.isascii() and url.isprintable() and " " not in url


def _made_safe(segment: Segment) -> Segment:
    text, style, _ = segment
    if style is not None and style.link is not None and not _safe_link(style.link):
        style = style.update_link(None)
    return Segment(_UNSAFE_ON_A_LINE.sub(_blank, text), style)


class ControlFilter(LineFilter):
    """Takes C0, C1, bidi-control and surrogate characters out of every line that is drawn.

    What took up cells is replaced by blanks, so that lines keep their width. A link with such
    characters is no link any more. Filters of this class are equal to each other: Textual keeps
    the filtered lines by filter, and an app may make a new filter for every frame.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments, made harmless; printable ones are passed on as they are."""
        if all(map(_safe, segments)):
            return segments
        return [segment if _safe(segment) else _made_safe(segment) for segment in segments]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))
