"""What a user sets for a model is remembered for it, and says that it is."""

from __future__ import annotations

from pathlib import Path

from modeldeck.engines.scripted import ScriptedEngine
from tests.support.decks import dense, open_deck


async def test_settings_are_the_models_in_the_next_chat_and_after_a_restart(
    fresh_home: Path,
) -> None:
    models = fresh_home / "models"
    models.mkdir()
    dense(models, "Small-3B", blocks=28, embedding=3072)
    async with open_deck(fresh_home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.press("end", "enter")
        await deck.see("Small-3B Q4_K_M")
        assert "your settings" not in deck.text
        await deck.press("ctrl+t")
        await deck.see("kept for Small-3B")
        await deck.type("Be brief")
        await deck.press("escape")
        await deck.see("your settings")
        await deck.press("ctrl+n")
        await deck.until(lambda: deck.app.talk.settings.system_prompt == "Be brief", "the model's")
    (models / "elsewhere").mkdir()
    (models / "Small-3B.gguf").rename(models / "elsewhere" / "Small-3B.gguf")
    async with open_deck(fresh_home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.press("end", "enter")
        await deck.see("Small-3B Q4_K_M")
        await deck.see("your settings")
        assert deck.app.talk.settings.system_prompt == "Be brief"
