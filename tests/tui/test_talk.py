"""A conversation and its store: nothing said is lost, and nothing waits for the disk."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from modeldeck.engines.chat import ChatMessage, Sampling, Usage
from modeldeck.engines.errors import EngineDied
from modeldeck.engines.meter import IDLE, Reading
from modeldeck.engines.store.conversations import Conversations
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.model_settings import ChatSettings
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.tui.context_use import ContextUse
from modeldeck.tui.endings import CONTEXT_FULL, LIMIT_REACHED
from modeldeck.tui.reply import ReplyEnd
from modeldeck.tui.talk_events import Answering, Changed, Configured
from modeldeck.tui.talk_events import Asked as Shown
from tests.support.conversing import LOADED, MODEL, Conversing


@pytest.fixture
def conversing(tmp_path: Path) -> Generator[Conversing]:
    made = Conversing(tmp_path / "deck.db")
    yield made
    made.database.close()


async def test_a_question_waits_for_its_model(conversing: Conversing) -> None:
    talk = conversing.talk
    talk.submit("hello?")
    await conversing.until(lambda: talk.waiting)
    assert conversing.jobs.requests == []
    talk.model_changed(LOADED)
    await conversing.until(lambda: len(conversing.jobs.requests) == 1)
    conversing.answer("yes")
    assert conversing.said() == [("user", "hello?"), ("assistant", "yes")]
    assert not conversing.busy
    assert talk.context_use == ContextUse(13, exact=True)
    assert talk.close() is None
    assert [(m.text, m.state) for m in conversing.on_disk()] == [
        ("hello?", "done"),
        ("yes", "done"),
    ]


async def test_what_cannot_be_kept_comes_back_and_nothing_has_changed(
    conversing: Conversing,
) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.exchange("one", "two")
    with conversing.locked():
        talk.submit("three")
        await conversing.until(lambda: bool(conversing.problems))
    (problem,) = conversing.problems
    assert problem.text == "three"
    assert "in use" in problem.error.cause
    assert problem.error.next_step
    assert not conversing.busy
    assert conversing.told[-2] == Changed()
    assert conversing.said() == [("user", "one"), ("assistant", "two")]
    await conversing.exchange("three", "four")
    talk.close()
    assert [m.text for m in conversing.on_disk()] == ["one", "two", "three", "four"]


async def test_an_answer_that_cannot_be_kept_is_kept_with_the_next_message(
    conversing: Conversing,
) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.ask("one")
    with conversing.locked():
        conversing.answer("two, and it was long")
        assert not conversing.busy
        await conversing.until(lambda: bool(conversing.problems))
    assert conversing.problems[0].error.cause.startswith("The answer is not kept yet")
    await conversing.ask("three")
    _, request, _ = conversing.jobs.requests[-1]
    assert request.messages == (
        ChatMessage("user", "one"),
        ChatMessage("assistant", "two, and it was long"),
        ChatMessage("user", "three"),
    )
    conversing.answer("four")
    assert talk.close() is None
    assert [(m.text, m.state) for m in conversing.on_disk()] == [
        ("one", "done"),
        ("two, and it was long", "done"),
        ("three", "done"),
        ("four", "done"),
    ]


async def test_closing_keeps_what_was_still_owed(conversing: Conversing) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.ask("one")
    with conversing.locked():
        conversing.answer("two")
        await conversing.until(lambda: bool(conversing.problems))
    assert talk.close() is None
    assert [(m.text, m.state) for m in conversing.on_disk()] == [("one", "done"), ("two", "done")]


async def test_closing_says_what_stays_unkept(conversing: Conversing) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.ask("one")
    with conversing.locked():
        conversing.answer("two")
        problem = talk.close()
    assert problem is not None
    assert "in use" in problem.cause


async def test_closing_while_a_question_is_on_its_way_keeps_the_question(
    conversing: Conversing,
) -> None:
    conversing.talk.submit("just in time")
    conversing.talk.close()
    assert [m.text for m in conversing.on_disk()] == ["just in time"]


async def test_closing_in_mid_answer_keeps_what_came(conversing: Conversing) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.ask("one")
    conversing.jobs.requests[-1][2].write("half an", "")
    talk.close()
    assert [(m.text, m.state) for m in conversing.on_disk()][1] == ("half an", "stopped")


async def test_a_failed_answer_keeps_its_words_and_its_reason(conversing: Conversing) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.ask("one")
    message_id, _, keeper = conversing.jobs.requests[-1]
    keeper.write("half", "")
    error = EngineDied("It died.", "Send again.")
    talk.ended(message_id, ReplyEnd(None, None, IDLE, error, text="half"))
    talk.close()
    last = conversing.on_disk()[-1]
    assert (last.text, last.state, last.error) == ("half", "failed", "It died.")


async def test_a_new_conversation_is_not_disturbed_by_the_old_one(conversing: Conversing) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.ask("old")
    talk.new()
    assert conversing.jobs.stopped == 1
    conversing.answer("late", "cancelled")
    assert conversing.said() == []
    assert talk.context_use is None
    assert not conversing.busy
    talk.submit("lost in between")
    talk.new()
    await conversing.exchange("fresh", "water")
    assert conversing.said() == [("user", "fresh"), ("assistant", "water")]
    talk.close()
    database = Database.open(conversing.path, SCHEMAS)
    kept = Conversations(database)
    texts = [[m.text for m in kept.branch(c.leaf)] for c in reversed(kept.recent())]
    database.close()
    assert texts == [["old", "late"], ["lost in between"], ["fresh", "water"]]


async def test_esc_before_the_answer_begins_leaves_the_question(conversing: Conversing) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    talk.submit("never mind")
    talk.stop()
    await conversing.until(lambda: not talk.busy)
    assert conversing.jobs.requests == []
    assert conversing.said()[0] == ("user", "never mind")
    await conversing.exchange("but this", "fine")
    talk.close()
    assert [m.text for m in conversing.on_disk()][-1] == "fine"


async def test_a_conversation_deleted_by_another_deck_owes_nothing(conversing: Conversing) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.ask("one")
    assert talk.conversation is not None
    conversing.kept.drop(talk.conversation.id)
    conversing.answer("two")
    assert talk.close() is None
    assert conversing.problems == []


# Branches.


async def test_asking_again_and_editing_grow_branches_that_can_be_walked(
    conversing: Conversing,
) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.exchange("one", "two")
    asked = len(conversing.jobs.requests)
    talk.again()
    await conversing.until(lambda: len(conversing.jobs.requests) > asked)
    conversing.answer("deux")
    assert conversing.said() == [("user", "one"), ("assistant", "deux")]
    assert [str(fork) for fork in talk.branch.forks.values()] == ["2/2"]
    talk.resend("eins")
    await conversing.until(lambda: len(conversing.jobs.requests) > asked + 1)
    assert conversing.jobs.requests[-1][1].messages == (ChatMessage("user", "eins"),)
    conversing.answer("zwei")
    assert conversing.said() == [("user", "eins"), ("assistant", "zwei")]
    assert conversing.told[-2:] == [
        Shown("eins", "2/2"),
        Answering(talk.messages[-1].id, "m", ""),
    ]
    talk.next_branch()
    await conversing.until(lambda: len(talk.branch.forks) == 2)
    assert conversing.said() == [("user", "one"), ("assistant", "deux")]
    talk.next_branch()
    await conversing.until(lambda: conversing.said()[-1] == ("assistant", "two"))
    await conversing.exchange("and then?", "three")
    assert talk.close() is None
    assert [m.text for m in conversing.on_disk()] == ["one", "two", "and then?", "three"]


async def test_the_branch_followed_is_there_after_a_restart(
    conversing: Conversing, tmp_path: Path
) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    talk.configure(ChatSettings("Be kind.", Sampling(temperature=0.3)))
    await conversing.exchange("one", "two")
    talk.resend("eins")
    await conversing.until(lambda: len(conversing.jobs.requests) == 2)
    conversing.answer("zwei")
    talk.next_branch()
    await conversing.until(lambda: conversing.said()[0] == ("user", "one"))
    assert talk.conversation is not None
    talk.close()
    later = Conversing(tmp_path / "deck.db")
    later.talk.open(talk.conversation.id)
    await later.until(lambda: bool(later.talk.messages))
    assert later.said() == [("user", "one"), ("assistant", "two")]
    assert [str(fork) for fork in later.talk.branch.forks.values()] == ["1/2"]
    assert later.talk.settings == ChatSettings("Be kind.", Sampling(temperature=0.3))
    later.talk.next_branch()
    await later.until(lambda: later.said()[0] == ("user", "eins"))
    later.talk.close()
    later.database.close()


async def test_an_edit_that_cannot_be_kept_shows_the_old_branch_again(
    conversing: Conversing,
) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.exchange("one", "two")
    with conversing.locked():
        talk.resend("eins")
        assert conversing.said() == []
        await conversing.until(lambda: bool(conversing.problems))
    assert conversing.problems[0].text == "eins"
    assert conversing.said() == [("user", "one"), ("assistant", "two")]
    with conversing.locked():
        talk.again()
        await conversing.until(lambda: len(conversing.problems) == 2)
    assert conversing.said() == [("user", "one"), ("assistant", "two")]


async def test_a_conversation_that_has_gone_leaves_what_is_shown(conversing: Conversing) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.exchange("one", "two")
    talk.open(4711)
    await conversing.until(lambda: bool(conversing.problems))
    assert "gone" in conversing.problems[0].error.cause
    assert conversing.said() == [("user", "one"), ("assistant", "two")]


async def test_opening_the_conversation_that_is_being_written_shows_its_end(
    conversing: Conversing,
) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.ask("one")
    assert talk.conversation is not None
    talk.open(talk.conversation.id)
    told = len(conversing.told)
    await conversing.until(lambda: len(conversing.told) > told)
    conversing.answer("half", "cancelled")
    assert conversing.said() == [("user", "one"), ("assistant", "half")]
    assert talk.messages[-1].state == "stopped"
    assert conversing.told[-1] == Changed()


# What it is held with.

OTHER = LOADED._replace(model=MODEL._replace(name="other"))
KIND = ChatSettings("Be kind.", Sampling(temperature=0.3))
TERSE = ChatSettings("Be terse.")


async def test_a_models_settings_come_back_in_its_next_new_conversation(
    conversing: Conversing, tmp_path: Path
) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.until(lambda: Configured() in conversing.told)
    talk.configure(KIND)
    await conversing.exchange("one", "two")
    talk.new()
    await conversing.exchange("three", "four")
    assert conversing.jobs.requests[-1][1].sampling.temperature == 0.3
    talk.close()
    later = Conversing(tmp_path / "deck.db")
    later.talk.submit("asked before the model is there")
    await later.until(lambda: later.talk.waiting)
    later.talk.model_changed(LOADED)
    await later.until(lambda: len(later.jobs.requests) == 1)
    assert later.jobs.requests[-1][1].messages[0] == ChatMessage("system", "Be kind.")
    later.answer("hello")
    assert later.talk.conversation is not None
    later.talk.close()
    assert later.kept.get(later.talk.conversation.id).system_prompt == "Be kind."
    later.database.close()


async def test_a_conversation_keeps_its_own_whatever_the_model(conversing: Conversing) -> None:
    talk = conversing.talk
    conversing.models.set(OTHER.model, TERSE)
    talk.model_changed(LOADED)
    await conversing.exchange("one", "two")
    talk.configure(KIND)
    talk.model_changed(OTHER)
    await conversing.exchange("three", "four")
    assert talk.settings == KIND
    talk.new()
    await conversing.until(lambda: talk.settings == TERSE)
    talk.model_changed(LOADED)
    await conversing.until(lambda: talk.settings == KIND)


async def test_a_conversation_begun_with_one_model_is_not_given_anothers_settings(
    conversing: Conversing,
) -> None:
    talk = conversing.talk
    conversing.models.set(OTHER.model, TERSE)
    talk.model_changed(LOADED)
    await conversing.exchange("one", "two")
    talk.model_changed(OTHER)
    await conversing.exchange("three", "four")
    assert talk.settings == ChatSettings()


async def test_typing_settings_writes_the_newest_not_every_letter(
    conversing: Conversing,
) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.until(lambda: Configured() in conversing.told)
    words = "You are a patient teacher."
    with conversing.locked():
        for end in range(1, len(words) + 1):
            talk.configure(ChatSettings(words[:end]))
        await conversing.until(lambda: bool(conversing.problems))
    await conversing.until(lambda: conversing.models.get(MODEL).system_prompt == words)
    assert len(conversing.problems) <= 2


# The next prompt.


async def test_the_next_prompt_is_what_sending_would_make(conversing: Conversing) -> None:
    talk = conversing.talk
    talk.count("nobody is there to count", editing=False)
    assert conversing.jobs.counted == []
    talk.model_changed(LOADED)
    talk.configure(ChatSettings("Be kind."))
    await conversing.exchange("one", "two")
    system = ChatMessage("system", "Be kind.")
    talk.count("three", editing=False)
    one, two = ChatMessage("user", "one"), ChatMessage("assistant", "two")
    three = ChatMessage("user", "three")
    talk.count("eins", editing=True)
    talk.count("", editing=False)
    await conversing.ask("three")
    talk.count("while it answers", editing=False)
    assert conversing.jobs.counted == [
        (LOADED, (system, one, two, three), "three"),
        (LOADED, (system, ChatMessage("user", "eins")), "eins"),
    ]


# How it ended.


async def test_a_full_context_is_told_from_a_limit_that_was_set(conversing: Conversing) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    for used, note in ((4096, CONTEXT_FULL), (4095, CONTEXT_FULL), (100, LIMIT_REACHED)):
        await conversing.ask("go on")
        usage = Usage(50, used - 50, 0, None)
        end = ReplyEnd("length", usage, IDLE, text="so far")
        talk.ended(conversing.jobs.requests[-1][0], end)
        assert talk.messages[-1].error == note
    talk.close()
    assert [m.error for m in conversing.on_disk() if m.role == "assistant"] == [
        CONTEXT_FULL,
        CONTEXT_FULL,
        LIMIT_REACHED,
    ]


async def test_how_long_the_model_thought_is_kept(conversing: Conversing) -> None:
    talk = conversing.talk
    talk.model_changed(LOADED)
    await conversing.ask("think")
    reading = Reading(thought_ns=4_100_000_000, thought_tokens=139)
    end = ReplyEnd("stop", None, reading, text="So.", reasoning="Hm.")
    talk.ended(conversing.jobs.requests[-1][0], end)
    shown = talk.messages[-1]
    talk.close()
    for message in (shown, conversing.on_disk()[-1]):
        assert (message.thought_ns, message.thought_tokens) == (4_100_000_000, 139)


async def test_what_a_killed_deck_left_is_ended_without_holding_up_the_start(
    tmp_path: Path,
) -> None:
    path = tmp_path / "deck.db"
    database = Database.open(path, SCHEMAS, busy_seconds=0.2)
    kept = Conversations(database)
    conversation = kept.create()
    kept.append(kept.begin_answer(conversation.id, None, "m", "e").id, "half", "")
    with database.transaction() as connection:
        connection.execute("UPDATE messages SET writer = 'of another time'")
    database.close()
    later = Conversing(path)
    later.talk.open(conversation.id)
    await later.until(lambda: bool(later.talk.messages))
    assert [(m.text, m.state) for m in later.talk.messages] == [("half", "stopped")]
    later.talk.close()
    later.database.close()
