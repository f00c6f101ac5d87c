"""Makes the README's pictures as SVG: ``python -m tests.support.pictures FOLDER``.

A browser turns them into the PNG files of ``docs/pictures``.

The deck is the real one; the card is an RTX 3060 12 GB of which nothing is taken. The chat is with
the packaged demo model in the real engine, so its rates are those of the machine that ran this.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from tests.support.decks import Deck, dense, open_deck

SIZE = (112, 30)
QUESTION = "How do I switch to another model in a chat?"


def furnish(models: Path) -> None:
    """Models of well-known dimensions: their headers are whole, their weights are holes."""
    models.mkdir()
    dense(models, "Llama-3.2-3B-Instruct", blocks=28, embedding=3072)
    dense(models, "Mistral-7B-Instruct-v0.3", blocks=32, embedding=4096)
    dense(models, "Llama-3.1-8B-Instruct", blocks=32, embedding=4096)
    dense(models, "Llama-2-13B-chat", blocks=40, embedding=5120, kv_heads=40)
    dense(models, "Yi-34B-Chat", blocks=60, embedding=7168)
    dense(models, "Llama-3.3-70B-Instruct", blocks=80, embedding=8192)


def answered(deck: Deck, count: int) -> bool:
    """Whether so many messages are there and none is being written."""
    return len(deck.app.talk.messages) == count and not deck.app.talk.busy


async def take(folder: Path, home: Path) -> None:
    """Use the deck as a user would, and keep two of its screens."""
    async with open_deck(home, LlamaServerEngine(), size=SIZE) as deck:
        await deck.rest()
        await deck.press("s", "s", "s", "down", "down", "down", "down")
        await deck.pilot.pause(0.5)
        deck.app.save_screenshot("models.svg", str(folder))
        await deck.press("d")
        await deck.see("llama_server on CPU")
        for question in ("What is modeldeck?", QUESTION):
            count = len(deck.app.talk.messages)
            await deck.type(question)
            await deck.press("enter")
            await deck.until(partial(answered, deck, count + 2))
        await deck.pilot.pause(1.0)
        deck.app.save_screenshot("chat.svg", str(folder))


def main() -> None:
    """Take both pictures."""
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        os.environ["HOME"] = temporary
        furnish(home / "models")
        asyncio.run(take(folder, home))


if __name__ == "__main__":
    main()
