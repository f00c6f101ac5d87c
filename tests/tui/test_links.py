"""A link in an answer is shown to the user; nothing is opened on the machine the deck runs on."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

from modeldeck.engines.scripted import ScriptedEngine
from tests.support.decks import open_deck


async def test_a_link_is_shown_and_no_browser_is_started(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def remember(url: str, *_: object, **__: object) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", remember)
    async with open_deck(fresh_home, ScriptedEngine()) as deck:
        await deck.rest()
        deck.app.open_url("https://example.org/a\x1b[31m?b=1")
        await deck.see("The link leads to https://example.org/a[31m?b=1")
    assert not opened
