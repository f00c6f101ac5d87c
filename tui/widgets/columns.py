"""Columns of a list: which are shown at a width, and where each stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from modeldeck.tui.widgets.cells import Align

GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        key: its name in messages.
        title: its heading.
        width: in cells; the least width of a flexible column.
        align: to which side its text is pushed.
        flexible: takes the cells that the others leave. One column of a list should.
        priority: 0 is always shown; where there is no room, the highest number goes first.
    """

    key: str
    title: str
    width: int
    align: Align = "left"
    flexible: bool = False
    priority: int = 0


class Placed(NamedTuple):
    """A column that is shown: ``column`` is its number, and that of its cell in a row."""

    column: int
    x: int
    width: int


def _needed(columns: Iterable[Column]) -> int:
    widths = [column.width for column in columns]
    return sum(widths) + GAP * (len(widths) - 1)


def place(columns: Sequence[Column], width: int) -> tuple[Placed, ...]:
    """The columns shown on ``width`` cells, from left to right.

    Columns that find no room are left out by priority. If the rest is still too wide, the flexible
    ones shrink, to one cell at least, and what sticks out on the right is cut off.
    """
    shown = list(enumerate(columns))
    while _needed(column for _, column in shown) > width:
        least = max(shown, key=lambda pair: pair[1].priority)
        if least[1].priority == 0:
            break
        shown.remove(least)
    spare = width - _needed(column for _, column in shown)
    placed: list[Placed] = []
    x = 0
    for index, column in shown:
        cells = column.width
        if column.flexible:
            cells = max(1, cells + spare)
            spare -= cells - column.width
        cells = min(cells, width - x)
        if cells <= 0:
            break
        placed.append(Placed(index, x, cells))
        x += cells + GAP
    return tuple(placed)
