"""What a list is handed: rows of cells, as data."""

from __future__ import annotations

from typing import NamedTuple


class Cell(NamedTuple):
    """One cell of a row.

    Attributes:
        text: as it is to be read; never parsed as markup.
        style: ``muted``, ``good``, ``warn``, ``bad``, ``accent``, or a Textual style such as
            ``$verdict-fits``; empty for plain text. An unknown one is plain text.
    """

    text: str
    style: str = ""


class Row(NamedTuple):
    """One row: its stable identity and a cell for each column."""

    key: str
    cells: tuple[Cell, ...]


def cell_of(row: Row | None, index: int) -> Cell:
    """The cell of a column; an empty one where the row has none."""
    return row.cells[index] if row is not None and index < len(row.cells) else Cell("")
