"""What the conversation shown takes of the context, whichever branch it is and whoever counted."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from modeldeck.engines.chat import ChatMessage, Image, Role
from modeldeck.engines.errors import EngineDied
from modeldeck.engines.meter import IDLE, Rate, Reading
from modeldeck.engines.scripted import ScriptedEngine
from modeldeck.engines.store.conversations import Message
from modeldeck.tui.branch import Branch
from modeldeck.tui.context_use import ContextUse, use_by_memory
from modeldeck.tui.endings import usage_so_far
from modeldeck.tui.reply import ReplyEnd
from modeldeck.tui.talk_events import Changed, Weighed
from modeldeck.tui.widgets.throughput_lines import PanelData, one_line, panel_lines, use_text
from tests.support.conversing import LOADED, Conversing
from tests.support.decks import Deck, dense, open_deck


def said(
    role: Role,
    text: str,
    counts: tuple[int, int] | None = None,
    images: tuple[Image, ...] = (),
) -> Message:
    prompt, completion = counts or (None, None)
    return Message(
        0,
        1,
        None,
        role,
        text,
        prompt_tokens=prompt,
        completion_tokens=completion,
        images=images,
    )


SEEN = (Image("cat.png", "image/png", b""),)
ASKED = said("user", "x" * 40)
ANSWERED = said("assistant", "y" * 40, (100, 30))


@pytest.mark.parametrize(
    ("messages", "tokens"),
    [
        ((), None),
        ((ASKED,), 14),
        ((ASKED, ANSWERED), 130),
        ((ASKED, ANSWERED, ASKED), 130 + 14),
        ((ASKED, ANSWERED, ASKED, said("assistant", "y" * 8)), 130 + 14 + 6),
        ((said("user", "what?", images=SEEN), ANSWERED), 130),
    ],
)
def test_without_an_engine_memory_and_a_rule_of_thumb_say_about_how_much(
    messages: tuple[Message, ...], tokens: int | None
) -> None:
    expected = None if tokens is None else ContextUse(tokens, exact=False)
    assert use_by_memory(Branch(messages), "") == expected


def test_images_that_nobody_counted_are_named_and_not_guessed() -> None:
    asked = said("user", "what?", images=SEEN)
    assert use_by_memory(Branch((asked,)), "") == ContextUse(6, exact=False, images=1)
    later = use_by_memory(Branch((ASKED, ANSWERED, asked)), "")
    assert later == ContextUse(130 + 6, exact=False, images=1)


def test_the_system_prompt_is_part_of_it_until_an_engine_has_counted_it() -> None:
    with_prompt = use_by_memory(Branch((ASKED,)), "z" * 40)
    assert with_prompt == ContextUse(14 + 14, exact=False)
    assert use_by_memory(Branch((ASKED, ANSWERED)), "z" * 40) == ContextUse(130, exact=False)


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (None, "–"),
        (ContextUse(812, exact=True), "812"),
        (ContextUse(812, exact=False), "~812"),
        (ContextUse(12_345, exact=True), "12.3k"),
        (ContextUse(12_345, exact=False), "~12k"),
        (ContextUse(131_072, exact=False), "~131k"),
        (ContextUse(812, exact=True, images=1), "812+image"),
        (ContextUse(131_072, exact=False, images=12), "~131k+12images"),
    ],
)
def test_an_estimate_is_marked_and_no_more_exact_than_it_is(
    use: ContextUse | None, text: str
) -> None:
    assert use_text(use) == text
    panel = PanelData(context_use=use, context_total_tokens=131_072)
    (line,) = (row.plain for row in panel_lines(panel, 32) if "context" in row.plain)
    assert line.endswith(f" {text}/128k")
    assert len(line) <= 32
    marked = use is not None and not use.exact and not use.images
    assert ("~" in one_line(panel, 80).plain) == marked


@pytest.fixture
def conversing(tmp_path: Path) -> Generator[Conversing]:
    made = Conversing(tmp_path / "deck.db")
    yield made
    made.database.close()


async def two_branches(conversing: Conversing) -> None:
    """Two answers to one question, the second one shown."""
    conversing.talk.model_changed(LOADED)
    await conversing.exchange("one", "two")
    conversing.talk.again()
    await conversing.until(lambda: len(conversing.jobs.requests) == 2)
    conversing.answer("zwei")
    conversing.jobs.weighed.clear()


async def test_the_other_branch_is_counted_by_the_engine(conversing: Conversing) -> None:
    talk = conversing.talk
    await two_branches(conversing)
    talk.next_branch()
    await conversing.until(lambda: conversing.said()[-1] == ("assistant", "two"))
    assert talk.context_use == ContextUse(13, exact=False)
    ((told, leaf),) = conversing.jobs.weighed
    assert told == (ChatMessage("user", "one"), ChatMessage("assistant", "two"))
    talk.weighed(leaf, ContextUse(21, exact=True))
    assert talk.context_use == ContextUse(21, exact=True)
    assert conversing.told[-1] == Weighed()


async def test_a_count_of_a_branch_that_was_left_comes_too_late(conversing: Conversing) -> None:
    talk = conversing.talk
    await two_branches(conversing)
    talk.next_branch()
    await conversing.until(lambda: len(conversing.jobs.weighed) == 1)
    talk.next_branch()
    await conversing.until(lambda: len(conversing.jobs.weighed) == 2)
    talk.weighed(conversing.jobs.weighed[0][1], ContextUse(999, exact=True))
    assert talk.context_use == ContextUse(13, exact=False)
    await conversing.ask("and now?")
    talk.weighed(conversing.jobs.weighed[1][1], ContextUse(999, exact=True))
    assert talk.context_use == ContextUse(13, exact=False)


async def test_an_old_conversation_says_what_was_counted_then(
    conversing: Conversing, tmp_path: Path
) -> None:
    conversing.talk.model_changed(LOADED)
    await conversing.exchange("one", "two")
    conversing.talk.close()
    held = conversing.talk.conversation
    assert held is not None
    later = Conversing(tmp_path / "deck.db")
    later.talk.open(held.id)
    await later.until(lambda: Changed() in later.told)
    assert later.talk.context_use == ContextUse(13, exact=False)
    assert later.jobs.weighed == []
    later.talk.model_changed(LOADED)
    assert [leaf for _, leaf in later.jobs.weighed] == [later.talk.branch.leaf]
    later.talk.close()
    later.database.close()


async def test_a_stopped_answer_is_counted_since_the_engine_did_not_say(
    conversing: Conversing,
) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.ask("one")
    talk.stop()
    end = ReplyEnd("cancelled", None, IDLE, text="y" * 40)
    talk.ended(conversing.jobs.requests[-1][0], end)
    assert talk.context_use == ContextUse(5 + 14, exact=False)
    assert conversing.jobs.weighed[-1][1] == talk.branch.leaf


async def test_a_stopped_answer_takes_what_the_engine_had_counted(conversing: Conversing) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.ask("one")
    conversing.jobs.weighed.clear()
    reading = Reading(prompt_tokens=20, completion_tokens=7, decode_mean=Rate(30.0, "engine"))
    end = ReplyEnd("cancelled", None, reading, text="y" * 400)
    talk.ended(conversing.jobs.requests[-1][0], end)
    assert talk.context_use == ContextUse(27, exact=True)
    assert conversing.jobs.weighed == []
    shown = talk.messages[-1]
    talk.close()
    for message in (shown, conversing.on_disk()[-1]):
        assert (message.prompt_tokens, message.completion_tokens) == (20, 7)


@pytest.mark.parametrize(
    "reading",
    [
        IDLE,
        Reading(prompt_tokens=20, completion_tokens=7, decode_mean=Rate(30.0, "wall")),
        Reading(completion_tokens=7, decode_mean=Rate(30.0, "engine")),
        Reading(prompt_tokens=20),
    ],
)
def test_what_no_engine_counted_is_not_taken_for_counted(reading: Reading) -> None:
    assert usage_so_far(reading) is None


class Counting(ScriptedEngine):
    """An engine that counts for as long as it ``can``."""

    can = True

    async def count_tokens(self, instance: str, messages: Sequence[ChatMessage]) -> int:
        if not self.can:
            raise EngineDied("It cannot count.", "Ask another one.")
        return await super().count_tokens(instance, messages)


@pytest.fixture
def home(fresh_home: Path) -> Path:
    (fresh_home / "models").mkdir()
    dense(fresh_home / "models", "Small-3B", blocks=28, embedding=3072)
    return fresh_home


async def ask_twice(deck: Deck) -> None:
    """One question, answered in two branches."""
    await deck.rest()
    await deck.press("end", "enter")
    await deck.see("Small-3B Q4_K_M")
    await deck.type("Hi")
    await deck.press("enter")
    await deck.until(lambda: not deck.app.talk.busy and deck.app.talk.branch.leaf == 2, "one")
    await deck.press("ctrl+r")
    await deck.until(lambda: not deck.app.talk.busy and deck.app.talk.branch.leaf == 3, "two")
    await deck.see(f" {USED}/8192")
    await deck.press("escape")


COUNTED = len("Hi") + 1 + len("Hello, deck.") + 1
USED = len("Hi") + 1 + 4
"""The scripted engine counts bytes of what is said, and pieces of what it says."""


async def test_the_meter_is_right_after_a_walk_to_the_other_branch(home: Path) -> None:
    async with open_deck(home, ScriptedEngine(), size=(120, 40)) as deck:
        await ask_twice(deck)
        await deck.press("b")
        await deck.see(f" {COUNTED}/8192")


async def test_where_the_engine_cannot_count_the_meter_says_about(home: Path) -> None:
    engine = Counting()
    async with open_deck(home, engine, size=(120, 40)) as deck:
        await ask_twice(deck)
        engine.can = False
        await deck.press("b")
        await deck.see(f" ~{USED}/8192")
        await deck.press("ctrl+n")
        await deck.see(" –/8192")
