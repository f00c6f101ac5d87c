from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.themes import TOKENS, ThemeData, load_themes
from modeldeck.themes.contrast import contrast_ratio, rgb

RGB_THEMES = [theme for theme in load_themes()[0] if not theme.ansi]
TEXT = ("foreground", "muted", "primary", "secondary", "success", "warning", "error")
VERDICTS = tuple(token for token in TOKENS if token.startswith("verdict-"))
BYTE = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
by_name = pytest.mark.parametrize("theme", RGB_THEMES, ids=lambda theme: theme.name)


def ratio(theme: ThemeData, front: str, back: str) -> float:
    return contrast_ratio(rgb(theme.colors[front]), rgb(theme.colors[back]))


def test_the_measure_is_that_of_wcag() -> None:
    assert contrast_ratio((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast_ratio(rgb("#777777"), rgb("#ffffff")) == pytest.approx(4.48, abs=0.01)


@given(BYTE, BYTE)
def test_contrast_has_no_direction(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    assert 1 <= contrast_ratio(one, other) == contrast_ratio(other, one) <= 21.001


@by_name
@pytest.mark.parametrize("token", [*TEXT, *VERDICTS])
def test_everything_that_is_read_can_be_read(theme: ThemeData, token: str) -> None:
    needed = 7 if theme.name == "deck-contrast" else 4.5
    for back in ("background", "surface"):
        assert ratio(theme, token, back) >= needed, back


@by_name
def test_the_row_under_the_cursor_and_what_is_selected_can_be_read(theme: ThemeData) -> None:
    assert ratio(theme, "cursor-text", "cursor") >= 7
    assert ratio(theme, "foreground", "cursor-blurred") >= 7
    assert ratio(theme, "selection-text", "selection") >= 4.5


@by_name
def test_lines_and_what_is_off_can_still_be_made_out(theme: ThemeData) -> None:
    assert ratio(theme, "dim", "background") >= 3
    assert ratio(theme, "rule", "background") >= 1.5
    assert ratio(theme, "bar-free", "background") >= 3


@by_name
@pytest.mark.parametrize("token", VERDICTS)
def test_on_the_cursor_a_verdict_keeps_its_colour_in_the_calm_themes(
    theme: ThemeData, token: str
) -> None:
    if theme.name != "deck-contrast":  # its cursor is inverse; the list drops the colours there
        assert ratio(theme, token, "cursor") >= 4.5


# How the three kinds of colour blindness see linear RGB (Viénot, Brettel and Mollon 1999 for the
# first two; tritanopia after Brettel, Viénot and Mollon 1997, in the linear form of libDaltonLens).
BLINDNESS = {
    "protanopia": ((0.11238, 0.88762, 0), (0.11238, 0.88762, 0), (0.00401, -0.00401, 1)),
    "deuteranopia": ((0.29275, 0.70725, 0), (0.29275, 0.70725, 0), (-0.02234, 0.02234, 1)),
    "tritanopia": ((1, 0.15236, -0.15236), (0, 0.86717, 0.13283), (0, 0.86717, 0.13283)),
}


def seen(color: str, kind: str) -> tuple[float, ...]:
    linear = [(value / 255) ** 2.2 for value in rgb(color)]
    mixed = [sum(a * b for a, b in zip(row, linear, strict=True)) for row in BLINDNESS[kind]]
    return tuple(255 * min(1, max(0, value)) ** (1 / 2.2) for value in mixed)


@by_name
@pytest.mark.parametrize("kind", BLINDNESS)
def test_yes_partly_and_no_differ_for_every_eye(theme: ThemeData, kind: str) -> None:
    answers = [seen(theme.colors[f"verdict-{name}"], kind) for name in ("fits", "partial", "no")]
    for index, one in enumerate(answers):
        for other in answers[index + 1 :]:
            distance = sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
            assert distance >= 25


@by_name
def test_every_colour_is_one_that_256_colours_have(theme: ThemeData) -> None:
    steps = {0x00, 0x5F, 0x87, 0xAF, 0xD7, 0xFF}
    greys = {0x08 + 10 * n for n in range(24)}
    for token, color in theme.colors.items():
        red, green, blue = rgb(color)
        grey = red == green == blue and red in greys
        assert grey or {red, green, blue} <= steps, token
