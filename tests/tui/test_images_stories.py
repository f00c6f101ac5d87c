"""What a user does with images in a chat."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest
from textual.events import Paste

from modeldeck.engines.chat import ChatEvent, ChatMessage, ChatRequest
from modeldeck.engines.contract import OnProgress, ignore_progress
from modeldeck.engines.errors import RequestRefused
from modeldeck.engines.scripted import IMAGE_TOKENS, ScriptedEngine
from modeldeck.engines.types import LoadedModel, LocalModel, Plan
from modeldeck.tui.context_use import ContextUse
from modeldeck.tui.settings import Settings
from modeldeck.tui.widgets.prompt import Prompt
from modeldeck.tui.widgets.row_list import RowList
from tests.support.decks import Deck, dense, open_deck
from tests.support.image_files import png
from tests.support.screens import ScreenCheck


class Seeing(ScriptedEngine):
    """Sees with the model called Eye-3B, as if its projector lay beside it; hears all."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[ChatRequest] = []

    async def load(
        self, model: LocalModel, plan: Plan, on_progress: OnProgress = ignore_progress
    ) -> LoadedModel:
        projector = model.path.with_name("mmproj.gguf") if model.name == "Eye-3B" else None
        return await super().load(model._replace(projector=projector), plan, on_progress)

    def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        self.heard.append(request)
        return super().chat(request)


class CountsWords(Seeing):
    """Cannot say what an image takes before it is asked."""

    async def count_tokens(self, instance: str, messages: Sequence[ChatMessage]) -> int:
        if any(message.images for message in messages):
            raise RequestRefused("Images are not counted.", "Ask.")
        return await super().count_tokens(instance, messages)


@pytest.fixture
def home(fresh_home: Path) -> Path:
    models = fresh_home / "models"
    models.mkdir()
    dense(models, "Eye-3B", blocks=28, embedding=3072)
    dense(models, "Blind-3B", blocks=28, embedding=3072)
    pictures = fresh_home / "pictures"
    pictures.mkdir()
    (pictures / "cat [1].png").write_bytes(png(512, 300, (200, 120, 40)))
    (pictures / "notes.txt").write_text("no image")
    (pictures / "fake.png").write_text("no image")
    return fresh_home


async def chat_with(deck: Deck, name: str) -> None:
    await deck.rest()
    key = next(m.id for m in deck.app.state.models if m.name == name)
    deck.app.screen.query_one(RowList).move_to(key)
    await deck.press("enter")
    await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
    await deck.see(f"{name} Q4_K_M")


async def attach(deck: Deck) -> None:
    """Ask for the cat by half of its path."""
    await deck.press("escape", "a")
    await deck.see("attach an image")
    await deck.type("~/pict")
    await deck.pilot.pause(0.2)
    await deck.press("tab")
    await deck.until(lambda: "~/pictures/" in deck.text, "the folder")
    await deck.type("c")
    await deck.see("~/pictures/cat [1].png")
    await deck.press("tab", "enter")
    await deck.see("image  cat [1].png  512x300  1 kB")


async def test_an_image_is_attached_sent_kept_and_shown(home: Path) -> None:
    engine = Seeing()
    async with open_deck(home, engine) as deck:
        await chat_with(deck, "Eye-3B")
        await attach(deck)
        await deck.type("What is it?")
        await deck.press("enter")
        await deck.see("Hello, deck.")
        assert "esc removes" not in deck.text
        assert deck.text.count("image  cat [1].png  512x300") == 1
        (asked,) = engine.heard[0].messages
        assert [image.name for image in asked.images] == ["cat [1].png"]

        (home / "pictures" / "cat [1].png").unlink()
        await deck.type("And now?")
        await deck.press("enter")
        await deck.until(lambda: len(engine.heard) == 2, "the second question")
        assert engine.heard[1].messages[0].images == asked.images
        await deck.until(lambda: not deck.app.talk.busy, "the end")
        await deck.press("ctrl+n", "ctrl+f")
        await deck.see("the newest first")
        await deck.press("enter")
        await deck.see("image  cat [1].png  512x300")
        assert deck.app.talk.messages[0].images == asked.images


async def test_an_image_is_taken_away_again(home: Path) -> None:
    async with open_deck(home, engine := Seeing()) as deck:
        await chat_with(deck, "Eye-3B")
        await attach(deck)
        await deck.press("escape")
        assert "cat [1]" not in deck.text
        await deck.type("Hi")
        await deck.press("enter")
        await deck.see("Hello, deck.")
        assert engine.heard[0].messages[0].images == ()


async def test_a_model_that_sees_nothing_says_so(home: Path) -> None:
    async with open_deck(home, Seeing()) as deck:
        await deck.rest()
        await deck.press("4", "escape", "a")
        await deck.see("No model is loaded that could see an image.")
        await deck.press("1")
        await chat_with(deck, "Blind-3B")
        await deck.press("escape", "a")
        await deck.see("Blind-3B sees no images")
        assert "attach an image" not in deck.text


async def test_a_blind_model_that_takes_over_is_told_the_name(home: Path) -> None:
    async with open_deck(home, engine := Seeing()) as deck:
        await chat_with(deck, "Eye-3B")
        await attach(deck)
        await deck.type("Look")
        await deck.press("enter")
        await deck.see("Hello, deck.")
        await deck.press("ctrl+o")
        await deck.type("blind")
        await deck.press("enter")
        await deck.see("Blind-3B Q4_K_M")
        await deck.press("ctrl+r")
        await deck.until(lambda: len(engine.heard) == 2, "the question again")
        (asked,) = engine.heard[1].messages
        assert (asked.content, asked.images) == ("[image: cat [1].png]\nLook", ())


async def test_a_path_that_is_wrong_says_what_is_wrong(home: Path) -> None:
    async with open_deck(home, Seeing()) as deck:
        await chat_with(deck, "Eye-3B")
        await deck.press("escape", "a")
        for name, problem in [("fake.png", "no image that models read"), ("x", "cannot be read")]:
            await deck.type(f"~/pictures/{name}")
            await deck.press("enter")
            await deck.see(problem)
            await deck.press("ctrl+u")
            assert problem not in deck.text
        await deck.press("escape")
        assert "attach an image" not in deck.text


async def test_a_pasted_path_of_an_image_is_offered(home: Path) -> None:
    async with open_deck(home, Seeing()) as deck:
        await chat_with(deck, "Eye-3B")
        pasted = str(home / "pictures" / "cat [1].png").replace(" ", "\\ ")
        prompt = deck.app.screen.focused
        assert prompt is not None
        await deck.type("What is ")
        prompt.post_message(Paste(pasted))
        await deck.see("attach an image")
        await deck.press("enter")
        await deck.see("image  cat [1].png")
        await deck.see(" › What is")
        assert "pictures" not in deck.text

        prompt.post_message(Paste(str(home / "pictures" / "notes.txt")))
        await deck.see("notes.txt")
        assert "attach an image" not in deck.text


async def test_tokens_of_images_are_counted_before_and_after(home: Path) -> None:
    async with open_deck(home, Seeing()) as deck:
        await chat_with(deck, "Eye-3B")
        await attach(deck)
        await deck.see(f"next {IMAGE_TOKENS + 1} of 8k")
        await deck.type("Hi")
        await deck.see(f"next {IMAGE_TOKENS + len('Hi') + 1} of 8k")
        await deck.press("enter")
        await deck.see("Hello, deck.")
        await deck.until(lambda: deck.app.talk.context_use is not None, "the count")
        counted = ContextUse(IMAGE_TOKENS + len("Hi") + 1 + 4, exact=True)
        assert deck.app.talk.context_use == counted


async def test_an_image_that_was_sent_does_not_come_back_with_a_message_held_back(
    home: Path,
) -> None:
    settings = Settings(model_dirs=(home / "models",), context_tokens=2048)
    async with open_deck(home, Seeing(), settings=settings) as deck:
        await chat_with(deck, "Eye-3B")
        await attach(deck)
        await deck.type("Hi")
        await deck.press("enter")
        await deck.see("Hello, deck.")
        deck.app.screen.query_one(Prompt).put("word " * 500)
        await deck.see("tokens of 2,048")
        await deck.press("enter")
        await deck.see("once more sends it all the same")
        assert "esc removes" not in deck.text


async def test_images_that_the_engine_cannot_count_are_named(home: Path) -> None:
    async with open_deck(home, CountsWords()) as deck:
        await chat_with(deck, "Eye-3B")
        await attach(deck)
        await deck.type("Hi")
        await deck.see("next 3 + image of 8k")
        await deck.press("escape")
        await deck.see("next 3 of 8k")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_images_look_as_they_did(
    home: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    async with open_deck(home, Seeing(), size=size) as deck:
        await chat_with(deck, "Eye-3B")
        await deck.press("escape", "a")
        await deck.type("~/pictures/c")
        await deck.see("~/pictures/cat [1].png")
        same_screen(deck.pilot)
        await deck.press("tab", "enter")
        await deck.see("image  cat [1].png  512x300")
        await deck.type("What is it?")
        await deck.pilot.pause(0.6)
        same_screen(deck.pilot)
