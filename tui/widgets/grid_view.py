"""Quantisations down, contexts across; a verdict and a rate in every cell, the cursor on one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from modeldeck.engines.fit.grid import Cell
from modeldeck.engines.fit.types import VerdictKind
from modeldeck.engines.fit.variants import Variant
from modeldeck.engines.units import tokens_text
from modeldeck.tui.widgets.lines_view import LinesView
from modeldeck.tui.widgets.model_rows import GLYPHS, size_text

_NAME: Final = 12
_SIZE: Final = 8
_CELL: Final = 9


@dataclass(frozen=True, slots=True)
class VariantRow:
    """A quantisation with a cell for each context."""

    variant: Variant
    cells: tuple[Cell, ...]


def cell_text(cell: Cell) -> tuple[str, str]:
    """Text and style of a cell: the verdict's glyph, and its rate where there is one."""
    if cell.kind is None:
        return "–", ".grid--muted"
    glyph, style = GLYPHS[cell.kind]
    if cell.decode_tps is not None:
        return f"{glyph} ~{cell.decode_tps[1]:.0f}", style
    return f"{glyph} {_words(cell)}", style


def _words(cell: Cell) -> str:
    match cell.kind:
        case VerdictKind.FITS_PARTIAL:
            return f"{cell.layers_gpu}/{cell.layers}"
        case VerdictKind.CPU_ONLY:
            return "CPU"
        case VerdictKind.DOES_NOT_FIT | VerdictKind.CANNOT_RUN:
            return "no"
        case VerdictKind.FITS_EXPERTS_ON_CPU:
            return "exp"
        case _:
            return ""


def grid_lines(
    rows: Sequence[VariantRow], contexts: Sequence[int], cursor: tuple[int, int]
) -> list[Content]:
    """The heading, then a line for each quantisation. An estimated size has ``~``."""
    head = " " * (2 + _NAME + _SIZE) + "".join(f"{tokens_text(c):>{_CELL}}" for c in contexts)
    lines = [Content.styled(head, ".grid--muted")]
    for y, row in enumerate(rows):
        size = size_text(row.variant.size_bytes)
        mark = "~" if row.variant.estimated else ""
        name_style = ".grid--muted" if row.variant.estimated else "bold"
        line = Content.assemble(
            "▌ " if y == cursor[0] else "  ",
            (f"{row.variant.quantisation:<{_NAME}}", name_style),
            (f"{mark + size:>{_SIZE}}", ".grid--muted"),
        )
        for x, cell in enumerate(row.cells):
            text, style = cell_text(cell)
            here = (y, x) == cursor
            line += Content.styled(f" {text:>{_CELL - 1}}", f"{style} reverse" if here else style)
        lines.append(line)
    return lines


class GridView(LinesView, can_focus=True):
    """The grid with a cursor that the arrow keys walk."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"grid--muted"}
    DEFAULT_CSS = """
    GridView {
        & > .grid--muted { color: $text-muted; }
        &:ansi > .grid--muted { text-style: dim; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "walk(-1, 0)", "the row above", show=False),
        Binding("down", "walk(1, 0)", "the row below", show=False),
        Binding("left", "walk(0, -1)", "less context", show=False),
        Binding("right", "walk(0, 1)", "more context", show=False),
    ]

    class Walked(Message):
        """The cursor is in another cell."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._rows: Sequence[VariantRow] = ()
        self._contexts: Sequence[int] = ()
        self._cursor = (0, 0)

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column of the cell under the cursor."""
        return self._cursor

    def show(
        self,
        rows: Sequence[VariantRow],
        contexts: Sequence[int],
        cursor: tuple[int, int] | None = None,
    ) -> None:
        """Put a grid in place; without ``cursor`` it stays where it is."""
        self._rows, self._contexts = rows, contexts
        self._cursor = self._within(cursor or self._cursor)
        self.lines_changed()

    def _within(self, cell: tuple[int, int]) -> tuple[int, int]:
        y = max(0, min(cell[0], len(self._rows) - 1))
        return y, max(0, min(cell[1], len(self._contexts) - 1))

    def lay_out(self, width: int) -> Sequence[Content]:
        """The heading and the rows."""
        lines = grid_lines(self._rows, self._contexts, self._cursor)
        return [line.truncate(width, ellipsis=True) for line in lines]

    def action_walk(self, down: int, right: int) -> None:
        """Walk to a neighbour; it stops at the edges."""
        before = self._cursor
        self._cursor = self._within((before[0] + down, before[1] + right))
        if self._cursor != before:
            self.lines_changed()
            self.post_message(self.Walked())
