from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.content import Content

from modeldeck.tui.widgets.markdown_blocks import URL_META, highlighted, parse
from modeldeck.tui.widgets.markdown_document import MarkdownDocument
from modeldeck.tui.widgets.markdown_layout import column_widths, lay_out
from tests.support.chat_bench import ANSWER, tokens_of

PIECES = st.lists(
    st.sampled_from(
        [
            *("- a\n", "  - b\n", "1. c\n", "> q\n", "\n", "text ", "**b**", "`c`", "```py\n"),
            *("x=1\n", "```\n", "| a | b |\n", "|--|--|\n", "| 1 | 2 |\n", "# h\n", "***\n"),
            *("[l](u)", "[/]", "    code\n", "字。", "<div>", "&#x202e;", "\x1b[31m", "![i](s)"),
            *("\t", "[r]: u\n", "~~s~~"),
        ]
    ),
    max_size=30,
)


def plain(source: str, width: int = 60) -> list[str]:
    document = MarkdownDocument()
    document.append(source)
    document.finish()
    return [line.plain for line in document.lines(width)]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("one\ntwo", ["one", "two"]),
        ("one\n\ntwo", ["one", "", "two"]),
        ("# title\ntext", ["title", "", "text"]),
        ("- a\n- b\n  - c\n", ["• a", "• b", "  ◦ c"]),
        ("- a\n\n- b", ["• a", "", "• b"]),
        ("9. a\n10. b", [" 9. a", "10. b"]),
        ("> a\n>\n> b", ["▎ a", "▎ ", "▎ b"]),
        ("```\nx\n\ty\n```", ["│ x", "│     y"]),
        ("- a\n  ```\n  x\n  ```\n- b", ["• a", "  │ x", "• b"]),
        ("| a | b |\n|--:|---|\n| 1 | 22 |", ["a │ b", "──┼───", "1 │ 22"]),
        ("a\n\n***", ["a", "", "─" * 60]),
        ("-\n- b", ["• ", "• b"]),
    ],
)
def test_each_kind_of_block_has_its_shape(source: str, lines: list[str]) -> None:
    assert plain(source) == lines


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("[/] [red]x[/red] [@click=app.quit]y", "[/] [red]x[/red] [@click=app.quit]y"),
        ("<b>x</b> <script>", "<b>x</b> <script>"),
        ("<div>\nx", "<div>"),
        ("a &#x202e;b &#27;[31m &#x9b;c", "a b \ufffd[31m \ufffdc"),
        ("a \x1b]0;t\x07b\x9d", "a ]0;tb"),
        ("[safe.example](http://evil.example)", "safe.example (http://evil.example)"),
        ("<http://a.example>", "http://a.example"),
        ("![x](http://a.example/i.png)", "x (http://a.example/i.png)"),
        ("[x]: http://a.example", "[x]: http://a.example"),
        ("app.py and README.md", "app.py and README.md"),
        ("2 * 3 * 4 _ 5", "2 * 3 * 4 _ 5"),
    ],
)
def test_hostile_and_odd_text_is_shown_as_data(source: str, shown: str) -> None:
    assert plain(source)[0] == shown


def test_a_link_carries_its_true_address_for_a_click() -> None:
    line = lay_out(parse("see [here](http://a.example)").blocks, 60)[-1]
    metas = [span.style.meta for span in line.spans if not isinstance(span.style, str)]
    assert {URL_META: "http://a.example"} in metas


@given(PIECES, st.integers(8, 60))
def test_any_text_lays_out_within_its_width(pieces: list[str], width: int) -> None:
    blocks = [highlighted(block) for block in parse("".join(pieces)).blocks]
    for line in lay_out(blocks, width):
        assert line.cell_length <= width
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in line.plain)
        assert "\u202e" not in line.plain


@given(PIECES)
def test_text_that_came_in_pieces_looks_like_text_that_came_at_once(pieces: list[str]) -> None:
    streamed = MarkdownDocument()
    for piece in pieces:
        streamed.append(piece)
        streamed.lines(40)
    streamed.finish()
    whole = MarkdownDocument()
    whole.append("".join(pieces))
    whole.finish()
    assert [line.plain for line in streamed.lines(40)] == [line.plain for line in whole.lines(40)]


def test_a_long_answer_is_parsed_once_not_again_with_each_token() -> None:
    document = MarkdownDocument()
    earlier: Content | None = None
    for token in tokens_of(ANSWER * 3):
        document.append(token)
        lines = document.lines(80)
        if earlier is None and len(lines) > 8:
            earlier = lines[0]
    assert document.lines(80)[0] is earlier


def test_code_is_coloured_once_its_fence_is_closed() -> None:
    document = MarkdownDocument()
    document.append("```python\ndef f():\n")
    assert all(not str(span.style).endswith("keyword") for span in document.lines(40)[0].spans)
    document.append("```\ndone")
    styles = {str(span.style) for span in document.lines(40)[0].spans}
    assert ".markdown--keyword" in styles
    assert "│ def f():" in [line.plain for line in document.lines(40)]


def test_unknown_languages_are_plain() -> None:
    assert plain("```[/]nosuch\nx\n```") == ["│ x"]


@given(st.lists(st.integers(1, 200), min_size=1, max_size=8), st.integers(10, 120))
def test_table_columns_fit_or_give_up(natural: list[int], available: int) -> None:
    widths = column_widths(natural, available)
    if widths is None:
        return
    assert sum(widths) + 3 * (len(widths) - 1) <= available
    assert all(width <= wanted for width, wanted in zip(widths, natural, strict=True))


def test_a_table_too_wide_becomes_records() -> None:
    head = "| " + " | ".join("abcdefgh") + " |\n" + "|--" * 8 + "|\n"
    row = "| " + " | ".join(["long cell text"] * 8) + " |\n"
    lines = plain(head + row, 30)
    assert lines[0] == "a: long cell text"
    assert max(cell_len(line) for line in lines) <= 30
