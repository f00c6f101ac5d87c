from __future__ import annotations

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.style import Style

from modeldeck.tui.thrift import change, shorter

COLOURS = st.sampled_from([None, "#112233", "#112234", "#fedcba", "red", "color(123)", "default"])
FLAGS = st.sampled_from([None, True])
STYLES = st.builds(
    Style,
    color=COLOURS,
    bgcolor=COLOURS,
    bold=FLAGS,
    dim=FLAGS,
    italic=FLAGS,
    underline=FLAGS,
    reverse=FLAGS,
    strike=FLAGS,
)
PIECES = st.tuples(
    st.text("ab é字", min_size=1, max_size=4),
    STYLES,
    st.sampled_from(["", "", "", "\n", "\x1b[2;3H", "\n\x1b[4;1H", "\x1b[?25l", "plain"]),
)


def drawn(text: str) -> list[list[object]]:
    """Every cell of a terminal that got ``text``, with all that can be seen of it."""
    screen = pyte.Screen(20, 6)
    stream = pyte.Stream(screen)
    stream.feed(text)
    stream.feed("end")
    return [[screen.buffer[y][x] for x in range(20)] for y in range(6)]


@given(st.lists(PIECES, max_size=12), st.sampled_from(list(ColorSystem)))
def test_the_screen_becomes_the_same(
    pieces: list[tuple[str, Style, str]], colours: ColorSystem
) -> None:
    text = "\x1b[1;1H" + "".join(
        style.render(words, color_system=colours) + gap for words, style, gap in pieces
    )

    assert drawn(shorter(text)) == drawn(text)
    assert len(shorter(text)) <= len(text)


@pytest.mark.parametrize(
    ("before", "after", "sent"),
    [
        ("38;2;1;2;3;48;2;4;5;6", "38;2;1;2;3;48;2;4;5;6", ""),
        ("38;2;1;2;3;48;2;4;5;6", "38;2;9;9;9;48;2;4;5;6", "\x1b[38;2;9;9;9m"),
        ("1;38;2;1;2;3", "38;2;1;2;3", "\x1b[22m"),
        ("1;2;31", "2;31", "\x1b[22;2m"),
        ("31;44", "31", "\x1b[49m"),
        ("31;44", "44", "\x1b[39m"),
        ("1;3;4;7;9;31", "32", "\x1b[0;32m"),
        ("38;5;12", "38;5;13", "\x1b[38;5;13m"),
        ("97", "107", "\x1b[0;107m"),
        ("53", "31", "\x1b[0;31m"),  # an attribute that is not known here
    ],
)
def test_a_change_of_style_says_what_changes(before: str, after: str, sent: str) -> None:
    assert change(before, after) == sent


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "\x1b]52;c;SGVsbG8=\x07",
        "\x1b[31mred",
        "\x1b[31mred\x1b[0m and \x1b[32mgreen\x1b[0m",
        "\x1b[?1049h\x1b[?25l",
        "\x1b[0m\x1b[0m",
    ],
)
def test_what_cannot_be_shorter_is_left_as_it_is(text: str) -> None:
    assert shorter(text) == text


def test_a_truecolor_row_costs_a_third_less() -> None:
    background = "on #101018"
    row = "".join(
        Style.parse(f"{colour} {background}").render(text, color_system=ColorSystem.TRUECOLOR)
        for colour, text in (
            ("#e0e0e0", "Qwen3-8B  "),
            ("#808080", "Q5_K_M  "),
            ("#70c070", "fits"),
        )
    )

    assert len(shorter(row)) < 0.75 * len(row)
