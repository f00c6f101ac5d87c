"""A model card as it is read in the deck."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.tui.screens.hub_pages import CardText, without_front_matter, without_html


@pytest.mark.parametrize(
    ("card", "read"),
    [
        ("---\nlicense: mit\n---\n# Name", "# Name"),
        ("---\nlicense: mit\n...\n\n# Name", "# Name"),
        ("---\nnever closed", "---\nnever closed"),
        ("# Name\n---\nmore", "# Name\n---\nmore"),
        ("", ""),
    ],
)
def test_what_is_for_the_hub_is_left_out(card: str, read: str) -> None:
    assert without_front_matter(card) == read


@pytest.mark.parametrize(
    ("card", "read"),
    [
        ('<div align="center"><img src="x.png">Name</div>', "Name"),
        ("a <!-- hidden\n --> b", "a  b"),
        ("use `<b>` and\n```\n<div>\n```\n", "use `<b>` and\n```\n<div>\n```\n"),
        ("if a < b and c > d", "if a < b and c > d"),
        ("<think> stays", "<think> stays"),
    ],
)
def test_layout_in_html_goes_and_code_stays(card: str, read: str) -> None:
    assert without_html(card) == read


def test_lines_of_a_paragraph_flow_together() -> None:
    lines = CardText("one\ntwo\n\nthree").lay_out(40)

    assert [line.plain.strip() for line in lines] == ["one two", "", "three"]


@given(st.text(max_size=400), st.integers(1, 100))
def test_any_text_is_a_card(text: str, width: int) -> None:
    for line in CardText(text).lay_out(width):
        assert "\x1b" not in line.plain
