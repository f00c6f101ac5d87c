"""A Markdown text that grows at its end, and its lines at some width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.content import Content

from modeldeck.engines.text import clean
from modeldeck.tui.widgets.markdown_blocks import Block, highlighted, parse
from modeldeck.tui.widgets.markdown_layout import lay_out


class MarkdownDocument:
    """Parses and lays out only what further text can still change: the last top-level block."""

    def __init__(self, *, indent: Content | None = None, flowing: bool = False) -> None:
        """Make an empty document.

        Args:
            indent: before every line.
            flowing: line breaks of the source are spaces.
        """
        self._indent = indent or Content()
        self._flowing = flowing
        self._tail = ""
        self._settled: list[Block] = []
        self._open: tuple[Block, ...] = ()
        self._settled_lines: list[Content] = []
        self._laid_out = 0
        self._width = -1

    def append(self, text: str) -> None:
        """Add ``text`` at the end."""
        self._tail += clean(text)
        parsed = parse(self._tail, flowing=self._flowing)
        if parsed.settled:
            self._settled += [highlighted(block) for block in parsed.blocks[: parsed.settled]]
            lines = self._tail.split("\n")
            self._tail = "\n".join(lines[parsed.settled_lines :])
        self._open = parsed.blocks[parsed.settled :]

    def finish(self) -> None:
        """Say that nothing more will come: the last block is as final as the others."""
        self._settled += [highlighted(block) for block in self._open]
        self._open = ()
        self._tail = ""

    def lines(self, width: int) -> list[Content]:
        """Every line of the text at ``width`` cells plus the indent.

        Settled lines are the same objects each time.
        """
        if width != self._width:
            self._width = width
            self._settled_lines.clear()
            self._laid_out = 0
        self._settled_lines += self._laid(self._settled[self._laid_out :], width)
        self._laid_out = len(self._settled)
        lines = [*self._settled_lines, *self._laid(self._open, width)]
        return lines[1:] if lines and not lines[0].plain.strip() else lines

    def _laid(self, blocks: Sequence[Block], width: int) -> Iterator[Content]:
        return (self._indent + line for line in lay_out(blocks, width))
