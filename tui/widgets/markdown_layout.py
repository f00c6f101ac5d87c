"""Blocks and a width in, styled lines out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest

from textual.content import Content

from modeldeck.tui.widgets.line_breaks import folded, wrapped
from modeldeck.tui.widgets.markdown_blocks import Align, Block

_MARK = ".markdown--mark"
_BAR = Content.styled(" │ ", _MARK)
_CROSSING = "─┼─"
_CODE_BAR = Content.styled("│ ", _MARK)
_MIN_COLUMN = 6
_NARROWEST = 8


def lay_out(blocks: Sequence[Block], width: int) -> list[Content]:
    """The lines of ``blocks``, each at most ``width`` cells wide (if that is 8 or more)."""
    return list(chain.from_iterable(_block_lines(block, width) for block in blocks))


def _block_lines(block: Block, width: int) -> list[Content]:
    first, rest = block.first, block.rest
    if width - rest.cell_length < _NARROWEST:
        first, rest = first[: max(0, width - _NARROWEST)], rest[: max(0, width - _NARROWEST)]
    inner = max(_NARROWEST, width - rest.cell_length)
    match block.kind:
        case "text":
            body = _each(block.text, inner)
        case "code":
            body = [_CODE_BAR + line for line in _cut(block.text, inner - 2)]
        case "table":
            body = _table_lines(block, inner)
        case "rule":
            body = [Content.styled("─" * inner, _MARK)]
    lines = [(rest if number else first) + line for number, line in enumerate(body)]
    return lines if block.gap is None else [block.gap, *lines]


def _each(text: Content, width: int) -> list[Content]:
    return [
        part for line in text.split("\n", allow_blank=True) for part in wrapped(line, width)
    ]  # fmt: skip


def _cut(text: Content, width: int) -> list[Content]:
    return [part for line in text.split("\n", allow_blank=True) for part in folded(line, width)]


def column_widths(natural: Sequence[int], available: int) -> list[int] | None:
    """Widths of table columns, the widest cut first, so that they fit ``available`` cells.

    None when some column would get fewer than 6 cells although it needs more.
    """
    budget = available - len(_CROSSING) * (len(natural) - 1)
    if sum(natural) <= budget:
        return list(natural)
    widths = [0] * len(natural)
    left = budget
    for count, index in enumerate(sorted(range(len(natural)), key=natural.__getitem__)):
        share = left // (len(natural) - count)
        widths[index] = min(natural[index], share)
        if widths[index] < min(_MIN_COLUMN, natural[index]):
            return None
        left -= widths[index]
    return widths


def _table_lines(block: Block, width: int) -> list[Content]:
    if not block.rows or not block.rows[0]:
        return []
    columns = list(zip(*block.rows, strict=True))
    natural = [max(1, *(cell.cell_length for cell in column)) for column in columns]
    widths = column_widths(natural, width)
    if widths is None:
        return _as_records(block, width)
    header, *rows = block.rows
    bold = tuple(cell.stylize("bold") for cell in header)
    rule = Content.styled(_CROSSING.join("─" * cells for cells in widths), _MARK)
    lines = [*_row_lines(bold, widths, block.aligns), rule]
    for row in rows:
        lines += _row_lines(row, widths, block.aligns)
    return lines


def _row_lines(
    row: Sequence[Content], widths: Sequence[int], aligns: Sequence[Align]
) -> list[Content]:
    cells = [_each(cell, width) for cell, width in zip(row, widths, strict=True)]
    lines: list[Content] = []
    for parts in zip_longest(*cells, fillvalue=Content()):
        aligned = [
            _aligned(part, width, align)
            for part, width, align in zip(parts, widths, aligns, strict=True)
        ]
        lines.append(_BAR.join(aligned).rstrip())
    return lines


def _aligned(cell: Content, width: int, align: Align) -> Content:
    space = width - cell.cell_length
    if align == "right":
        return cell.pad_left(space)
    left = space // 2 if align == "center" else 0
    return cell.pad(left, space - left)


def _as_records(block: Block, width: int) -> list[Content]:
    """A table too wide for columns: each row as ``header: cell`` lines, a blank line between."""
    header, *rows = block.rows
    lines: list[Content] = []
    for number, row in enumerate(rows):
        if number:
            lines.append(Content())
        for name, cell in zip(header, row, strict=True):
            lines += _each(name.stylize("bold") + Content(": ") + cell, width)
    return lines
