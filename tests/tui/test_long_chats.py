"""A long conversation costs no more than a short one, whatever is counted."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from modeldeck.engines.meter import IDLE
from modeldeck.tui import messages
from modeldeck.tui.reply import ReplyUpdate
from modeldeck.tui.screens.chat import ChatScreen
from modeldeck.tui.talk_events import Answering
from tests.support.decks import Deck
from tests.support.long_chats import deck_with, open_long

BATCHES = 12


class Calls:
    """How many functions were called."""

    def __init__(self) -> None:
        self.count = 0

    def take(self, frame: FrameType, event: str, arg: object) -> None:
        if event in ("call", "c_call"):
            self.count += 1


@contextmanager
def counted() -> Generator[Calls]:
    calls = Calls()
    before = sys.getprofile()
    sys.setprofile(calls.take)
    try:
        yield calls
    finally:
        sys.setprofile(before)


async def calls_per_batch(deck: Deck) -> float:
    """Stream an answer's batches into the chat and count what that calls."""
    chat = deck.app.screen
    assert isinstance(chat, ChatScreen)
    chat.post_message(messages.TalkTold(Answering(-1, "m")))
    for _ in range(3):
        await deck.pilot.pause(0.1)
    with counted() as calls:
        for number in range(BATCHES):
            update = ReplyUpdate(f"word{number} ", "", IDLE)
            chat.post_message(messages.ReplyMoved(-1, update))
            await deck.pilot.pause(0.11)
    return calls.count / BATCHES


async def test_a_streamed_batch_does_no_work_for_the_history(tmp_path: Path) -> None:
    found: list[float] = []
    for length in (40, 1000):
        async with deck_with(tmp_path / str(length), length) as (deck, conversation):
            await open_long(deck, conversation, length)
            found.append(await calls_per_batch(deck))
    short, long = found
    assert long < short * 1.3, f"{short:.0f} and {long:.0f} calls a batch"


async def test_a_thousand_messages_are_few_widgets_and_all_can_be_reached(
    tmp_path: Path,
) -> None:
    async with deck_with(tmp_path, 1000) as (deck, conversation):
        await open_long(deck, conversation, 1000)
        chat = deck.app.screen
        assert isinstance(chat, ChatScreen)
        assert len(chat.transcript.messages) < 60
        assert chat.transcript.earlier_count + len(chat.transcript.messages) == 1000
        for _ in range(8):
            await deck.press("pageup")
            await deck.pilot.pause(0.1)
        assert chat.transcript.earlier_count + len(chat.transcript.messages) == 1000
        for leave in ("", "escape"):  # from the prompt, then from the transcript itself
            if leave:
                await deck.press("end", leave)
            await deck.press("home")
            await deck.see("0: A")
            assert chat.transcript.earlier_count + len(chat.transcript.messages) == 1000
        await deck.press("end")
        await deck.see("999: A")
        await deck.until(lambda: len(chat.transcript.messages) < 60, "few widgets again")
