from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import split_graphemes
from textual.content import Content, Span

from modeldeck.tui.widgets.lines_view import Cells, changed_cells

GRAPHEMES = [*"ab 字量é\u0301🇩🇪", "👩\u200d👧"]


def styled(text: str, one: int, other: int, style: str) -> Content:
    return Content(text, [Span(min(one, other), max(one, other), style)])


LINE = st.builds(
    styled,
    st.lists(st.sampled_from(GRAPHEMES), max_size=20).map("".join),
    st.integers(0, 20),
    st.integers(0, 20),
    st.sampled_from(["bold", "italic"]),
)


def test_the_same_line_changes_nothing() -> None:
    assert changed_cells(Content("abc"), Content("abc")) is None


def test_appended_text_repaints_only_itself() -> None:
    assert changed_cells(Content("字ab"), Content("字abcd")) == Cells(4, 6)


def test_a_number_in_the_middle_repaints_only_its_digits() -> None:
    assert changed_cells(Content("a 34.2 b"), Content("a 35.1 b")) == Cells(3, 6)


def test_a_shorter_line_repaints_what_it_leaves_behind() -> None:
    assert changed_cells(Content("abcdef"), Content("abc")) == Cells(3, 6)


def test_a_style_alone_is_a_change() -> None:
    assert changed_cells(Content("abc"), Content.assemble("a", ("b", "bold"), "c")) == Cells(1, 2)


def test_a_combining_mark_repaints_the_letter_it_joins() -> None:
    assert changed_cells(Content("ae"), Content("ae\u0301")) == Cells(1, 2)


@given(LINE, LINE)
def test_outside_the_changed_cells_both_lines_are_the_same(before: Content, after: Content) -> None:
    cells = changed_cells(before, after)
    start, end = (cells.start, cells.end) if cells else (0, 0)
    if cells is not None:
        assert 0 <= start < end <= max(before.cell_length, after.cell_length)
    assert painted(before)[:start] == painted(after)[:start]
    assert painted(before)[end:] == painted(after)[end:]


def painted(line: Content) -> list[tuple[str, bool, bool]]:
    """What stands in each cell: its grapheme (twice when it is wide) and its styles."""
    cells: list[tuple[str, bool, bool]] = []
    for start, end, width in split_graphemes(line.plain)[0]:
        styles = {span.style for span in line.spans if span.start <= start < span.end}
        cells += [(line.plain[start:end], "bold" in styles, "italic" in styles)] * width
    return cells
