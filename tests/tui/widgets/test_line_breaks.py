from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.content import Content

from modeldeck.tui.widgets.line_breaks import break_offsets, folded, wrapped

TEXT = st.text(alphabet=st.sampled_from(list("ab,. -（「字量。」，！é\u0301👩ｱ한")), max_size=80)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 8, ["one two", "three"]),
        ("one two three", 13, ["one two three"]),
        ("", 5, [""]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("原因有三個", 6, ["原因有", "三個"]),
        ("約是 18 GB，而", 10, ["約是 18", "GB，而"]),
        # Closing punctuation never begins a line, an opening bracket never ends one.
        ("放不進去。", 8, ["放不進", "去。"]),
        ("所以「放」", 6, ["所以", "「放」"]),
        # A word that fits a line is not cut, even where CJK stands before it.
        ("模型llama", 8, ["模型", "llama"]),
    ],
)
def test_lines_break_where_a_reader_expects(text: str, width: int, lines: list[str]) -> None:
    assert [line.plain for line in wrapped(Content(text), width)] == lines


@given(TEXT, st.integers(2, 40))
def test_no_character_is_lost_and_no_line_too_wide(text: str, width: int) -> None:
    lines = [line.plain for line in wrapped(Content(text), width)]
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(TEXT, st.integers(2, 40))
def test_breaks_are_ascending_and_inside(text: str, width: int) -> None:
    offsets = break_offsets(text, width)
    assert offsets == sorted(set(offsets))
    assert all(0 < offset < len(text) for offset in offsets)


@given(TEXT, st.integers(2, 40))
def test_code_is_cut_without_losing_a_space(text: str, width: int) -> None:
    lines = [line.plain for line in folded(Content(text), width)]
    assert "".join(lines) == text
    assert all(cell_len(line) <= width for line in lines)


def test_styles_survive_the_break() -> None:
    first, second = wrapped(Content.assemble("one ", ("two three", "bold")), 8)
    assert [(s.start, s.end, s.style) for s in first.spans] == [(4, 7, "bold")]
    assert [(s.start, s.end, s.style) for s in second.spans] == [(0, 5, "bold")]
