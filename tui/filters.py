"""The last fence before the terminal: no control character leaves in any widget's text."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from modeldeck.engines.text import clean


class ControlFilter(LineFilter):
    """Takes C0, C1 and bidi control characters out of every line that is drawn.

    Text is cleaned where it enters; this holds whatever slipped in, in whichever widget.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments with nothing in them but what can be seen."""
        return [
            segment
            if segment.control or segment.text.isprintable()
            else Segment(_visible(segment.text), segment.style)
            for segment in segments
        ]


def _visible(text: str) -> str:
    return clean(text).replace("\n", " ").replace("\t", " ")
