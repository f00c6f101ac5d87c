"""The deck while another program holds the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from modeldeck.engines.scripted import ScriptedEngine
from tests.support.decks import dense, open_deck


async def test_the_screen_lives_while_the_database_is_held(fresh_home: Path) -> None:
    (fresh_home / "models").mkdir()
    dense(fresh_home / "models", "Small-3B", blocks=28, embedding=3072)
    async with open_deck(fresh_home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.press("end", "enter")
        await deck.see("Small-3B Q4_K_M")
        with closing(sqlite3.connect(fresh_home / "deck.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await deck.type("Hi")
            await deck.press("enter")
            await deck.see("   Hi")
            await deck.type("and")
            assert deck.app.talk.keeping, "the question is not kept yet"
            await deck.see("› and")
            await deck.press("escape", "escape", "1")
            await deck.see("MODEL")
            await deck.press("4")
            assert deck.app.talk.keeping, "all this while the database was held"
            other.execute("ROLLBACK")
        await deck.until(lambda: not deck.app.talk.busy, "the question kept")
        kept = deck.services.conversations.recent()
        assert [c.title for c in kept] == ["Hi"]
