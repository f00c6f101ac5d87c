from __future__ import annotations

import re

import pytest
from rich.color import Color as RichColor
from rich.color import ColorSystem
from textual.color import Color

from modeldeck.themes import TOKENS, ThemeData, load_themes
from modeldeck.themes.contrast import contrast_ratio
from modeldeck.tui.theme import textual_theme
from tests.support.bytes_sent import bytes_sent
from tests.support.model_bench import ModelBench, known_entries
from tests.support.screens import screen_text

THEMES = load_themes()[0]
by_name = pytest.mark.parametrize("data", THEMES, ids=lambda data: data.name)


@by_name
def test_every_token_and_variable_is_a_colour(data: ThemeData) -> None:
    theme = textual_theme(data)
    variables = theme.to_color_system().generate() | theme.variables
    assert set(TOKENS) <= set(variables)
    for name in (*TOKENS, *theme.variables):
        Color.parse(variables[name])


@by_name
def test_nothing_is_left_for_textual_to_blend(data: ThemeData) -> None:
    theme = textual_theme(data)
    for name in ("text", "text-muted", "foreground-muted", "text-success", "scrollbar"):
        assert "auto" not in theme.variables[name]
        assert "%" not in theme.variables[name]


@by_name
@pytest.mark.parametrize("no_color", [False, True], ids=["colour", "NO_COLOR"])
async def test_the_words_are_the_same_in_every_theme(
    data: ThemeData, no_color: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    app = ModelBench(known_entries(), theme=data.name)
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.pause()
        shown = screen_text(app)
    for words in ("● fits", "◐ 39 of 62 layers", "○ CPU only", "✕ does not fit", "▌Qwen3-8B"):
        assert words in shown


async def test_without_colour_nothing_but_grey_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    with bytes_sent(monkeypatch) as sent:
        async with ModelBench(known_entries()).run_test(size=(120, 30)) as pilot:
            await pilot.pause()
        colors = re.findall(r"[34]8;2;(\d+);(\d+);(\d+)", sent.text)
    assert colors
    assert all(red == green == blue for red, green, blue in colors)


async def test_the_ansi_theme_sends_the_terminals_own_colours_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with bytes_sent(monkeypatch) as sent:
        async with ModelBench(known_entries(), theme="deck-ansi").run_test(size=(120, 30)) as pilot:
            await pilot.pause()
            await pilot.press("down")
            await pilot.pause()
        assert "8;2;" not in sent.text
        assert "8;5;" not in sent.text
        assert re.search(r"\x1b\[[0-9;]*32", sent.text), "green says that it fits"


@by_name
def test_with_256_colours_text_stays_apart_from_its_background(data: ThemeData) -> None:
    if data.ansi:
        return

    def seen(token: str) -> int | None:
        return RichColor.parse(data.colors[token]).downgrade(ColorSystem.EIGHT_BIT).number

    for back in ("background", "surface", "cursor", "cursor-blurred"):
        assert seen("foreground" if back != "cursor" else "cursor-text") != seen(back)
    assert seen("background") != seen("cursor")
    assert len({seen(f"verdict-{kind}") for kind in ("fits", "partial", "cpu", "no")}) == 4


@by_name
def test_with_256_colours_everything_that_is_read_can_still_be_read(data: ThemeData) -> None:
    if data.ansi:
        return

    def shown(token: str) -> tuple[int, int, int]:
        mapped = RichColor.parse(data.colors[token]).downgrade(ColorSystem.EIGHT_BIT)
        return mapped.get_truecolor()

    needed = 7 if data.name == "deck-contrast" else 4.5
    read = [token for token in TOKENS if token.startswith("verdict-")]
    for token in (*read, "foreground", "muted", "primary", "success", "warning", "error"):
        for back in ("background", "surface"):
            assert contrast_ratio(shown(token), shown(back)) >= needed, (token, back)
    assert contrast_ratio(shown("cursor-text"), shown("cursor")) >= 7
    assert contrast_ratio(shown("dim"), shown("background")) >= 3
