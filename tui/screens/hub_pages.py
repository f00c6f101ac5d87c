"""What is read over the Hub place: a model card, and where to read on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from modeldeck.engines.text import clean_line
from modeldeck.tui.hub_links import LINKS
from modeldeck.tui.screens.overlay import TextOverlay
from modeldeck.tui.widgets.lines_view import LinesView
from modeldeck.tui.widgets.markdown_document import MarkdownDocument

_CODE = re.compile(r"(```.*?```|~~~.*?~~~|`[^`\n]+`)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG = re.compile(
    r"</?(?:a|b|br|center|details|div|em|font|h[1-6]|hr|i|img|kbd|li|ol|p|picture|small|source|span"
    r"|strong|sub|summary|sup|table|tbody|td|th|thead|tr|u|ul|video)\b[^<>]{0,2000}>",
    re.IGNORECASE,
)

MOST_CHARACTERS = 200_000
"""More of a model card is not shown."""


def without_front_matter(text: str) -> str:
    """A model card without the YAML block that is for the Hub."""
    if not text.startswith("---"):
        return text
    lines = text.splitlines()
    end = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() in ("---", "...")), None)
    return text if end is None else "\n".join(lines[end + 1 :]).lstrip("\n")


def without_html(text: str) -> str:
    """The same without the HTML that cards are laid out with; code keeps what it shows."""
    pieces = _CODE.split(_COMMENT.sub("", text))
    return "".join(
        piece if number % 2 else _TAG.sub("", piece) for number, piece in enumerate(pieces)
    )


class CardText(LinesView):
    """A model card, as high as it is long."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._document = MarkdownDocument(flowing=True)
        self._document.append(without_html(without_front_matter(text[:MOST_CHARACTERS])))
        if len(text) > MOST_CHARACTERS:
            self._document.append("\n\n(The rest is left out.)\n")
        self._document.finish()

    def lay_out(self, width: int) -> Sequence[Content]:
        """The whole card."""
        return self._document.lines(width)


class CardOverlay(TextOverlay):
    """The model card of a repository."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,m", "dismiss_overlay", "close", show=False),
    ]

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"Model card of {clean_line(name)}", ())
        self._text = text

    def compose_text(self) -> ComposeResult:
        """The card's own words: data, never followed nor run."""
        yield CardText(self._text)


class LinksOverlay(TextOverlay):
    """Addresses to read on at."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,g", "dismiss_overlay", "close", show=False),
    ]

    def __init__(self) -> None:
        super().__init__("Hubs, documentation, leaderboards", tuple(_link_lines()))


def _link_lines() -> Iterator[Content]:
    for group, links in LINKS:
        yield Content.styled(group, "bold $primary")
        for link in links:
            yield Content.assemble(f"  {link.title:<26}", (link.what, "$text-muted"))
            yield Content(f"    {link.url}")
        yield Content()
