"""Old conversations are found again: the newest first, and by any word that was said in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.store import conversations, headers
from modeldeck.engines.store.conversation_list import ConversationList, Listed
from modeldeck.engines.store.conversations import Conversation, Conversations, Outcome
from modeldeck.engines.store.database import Database, StoreError
from modeldeck.engines.store.schemas import SCHEMAS

BEFORE_THE_LIST = (headers.SCHEMA, conversations.SCHEMA)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "deck.db", SCHEMAS)
    yield database
    database.close()


@pytest.fixture
def kept(database: Database) -> Conversations:
    return Conversations(database)


@pytest.fixture(params=[True, False], ids=["indexed", "without FTS5"])
def listing(database: Database, request: pytest.FixtureRequest) -> ConversationList:
    return ConversationList(database, indexed=bool(request.param))


def talk(kept: Conversations, question: str, answer: str, model: str = "Qwen3 8B") -> Conversation:
    """A conversation of one question and its answer."""
    chat = kept.create()
    asked = kept.say(chat.id, None, question)
    answered = kept.begin_answer(chat.id, asked.id, model, "llama_server")
    kept.append(answered.id, answer, "")
    kept.finish(answered.id, Outcome("done"))
    return chat


def ids(found: tuple[Listed, ...]) -> list[int]:
    return [each.id for each in found]


def marked(each: Listed) -> list[str]:
    assert each.found is not None
    return [each.found.text[start:end] for start, end in each.found.hits]


def test_the_newest_conversation_stands_first(
    kept: Conversations, listing: ConversationList
) -> None:
    first = talk(kept, "Why is the sky blue?", "Scattering.")
    second = talk(kept, "And at night?", "No sun.", model="demo")
    kept.create()  # nothing said in it

    newest, older = listing.recent()

    assert (newest.id, newest.title, newest.model) == (second.id, "And at night?", "demo")
    assert (older.id, older.message_count, older.found) == (first.id, 2, None)
    assert ids(listing.recent(limit=1)) == [second.id]
    assert listing.search("  ?! ") == listing.recent()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("rayleigh", ["Rayleigh"]),
        ("SCAT", ["Scat"]),
        ("scattering rayleigh", ["Rayleigh", "Scattering"]),
        ("cafe", ["café"]),
        ("CAFÉ", ["café"]),
        ("4-bit", ["4-bit"]),
        ("量化", ["量化"]),
        ("化", ["化"]),
        ("4-bit 的", ["4-bit", "的"]),
        ("18g", ["18G"]),
        ("量化後", ["量化後"]),
        ("ขนาด", ["ขนาด"]),
        ("ただ", ["ただ"]),
        ("e\u0301te", ["éte"]),
        ('"quoted" OR', ["OR", '"quoted']),
        ("a*", ["a"]),
    ],
)
def test_words_of_any_script_are_found(
    kept: Conversations, listing: ConversationList, typed: str, found: list[str]
) -> None:
    talk(kept, "nothing", "of this")
    text = "Rayleigh Scattering in a café: 一個 4-bit 的量化後18GB ขนาดใหญ่ ただいま étendu"
    chat = talk(kept, "hello", text + ' "quoted" OR', model="demo")

    (hit,) = listing.search(typed)

    assert hit.id == chat.id
    assert hit.model == "demo"
    whole = {part.strip('"').lower() for part in marked(hit)}
    assert {part.strip('"').lower() for part in found} <= whole


@pytest.mark.parametrize("typed", ["ayleigh", "化量", "rayleigh moon", "bit4", "*", "NEAR(", '"'])
def test_what_was_not_said_is_not_found(
    kept: Conversations, listing: ConversationList, typed: str
) -> None:
    talk(kept, "hello", "Rayleigh 4-bit 的量化後")

    assert all(each.found is None for each in listing.search(typed))


def test_a_hit_is_found_in_the_newest_message_that_has_every_word(
    kept: Conversations, listing: ConversationList
) -> None:
    chat = talk(kept, "blue sky", "The sky is blue.")
    asked = kept.say(chat.id, None, "sky only")

    (hit,) = listing.search("blue sky")

    assert hit.message_id == asked.id - 1
    assert marked(hit) == ["sky", "blue"]


def test_a_long_message_is_shown_around_the_hit(
    kept: Conversations, listing: ConversationList
) -> None:
    talk(kept, "hello", "filler\n" * 5000 + "the [bold]needle[/bold] " + "filler " * 5000)

    (hit,) = listing.search("needle")

    assert hit.found is not None
    assert len(hit.found.text) <= 122
    assert "the [bold]needle[/bold]" in hit.found.text
    assert "\n" not in hit.found.text
    assert marked(hit) == ["needle"]


def test_an_answer_being_written_costs_the_index_nothing_and_is_found_when_it_ends(
    database: Database, kept: Conversations, listing: ConversationList
) -> None:
    def pending() -> int:
        return len(database.rows("SELECT 1 FROM search_changes"))

    chat = talk(kept, "hello", "there")
    assert ids(listing.search("there")) == [chat.id]
    before = pending()
    answer = kept.begin_answer(chat.id, None, "demo", "llama_server")
    for piece in ("nee", "dle"):
        kept.append(answer.id, piece, "")

    assert pending() == before
    assert listing.search("needle") == ()
    assert listing.is_being_written(chat.id)

    kept.finish(answer.id, Outcome("done"))

    assert ids(listing.search("needle")) == [chat.id]
    assert not listing.is_being_written(chat.id)


def test_what_is_deleted_is_found_no_more_though_its_number_is_used_again(
    kept: Conversations, listing: ConversationList
) -> None:
    old = talk(kept, "old question", "old answer")
    assert ids(listing.search("old")) == [old.id]

    kept.drop(old.id)
    new = talk(kept, "new question", "new answer")

    assert listing.search("old") == ()
    assert ids(listing.search("answer")) == [new.id]


def test_a_conversation_gets_another_name_and_is_found_by_it(
    kept: Conversations, listing: ConversationList
) -> None:
    chat = talk(kept, "Why is the sky blue?", "Scattering.")

    listing.rename(chat.id, "  Optics\x1b[31m\nhomework  ")
    listing.rename(chat.id, "  \n ")

    (hit,) = listing.search("homework")
    assert hit.title == "Optics[31m homework"
    assert hit.message_id is None
    kept.say(chat.id, None, "more")
    assert listing.recent()[0].title == "Optics[31m homework"


def test_renaming_what_another_deck_deleted_says_so(
    kept: Conversations, listing: ConversationList
) -> None:
    chat = talk(kept, "hello", "there")
    kept.drop(chat.id)

    with pytest.raises(StoreError, match="has been deleted"):
        listing.rename(chat.id, "name")


def test_a_database_of_an_earlier_version_is_searched_too(tmp_path: Path) -> None:
    path = tmp_path / "deck.db"
    before = Database.open(path, BEFORE_THE_LIST)
    old = talk(Conversations(before), "an old question", "an old answer")
    before.close()

    database = Database.open(path, SCHEMAS)
    found = ConversationList(database).search("old answer")
    database.close()

    assert ids(found) == [old.id]


def test_two_decks_search_what_the_other_wrote(tmp_path: Path) -> None:
    path = tmp_path / "deck.db"
    one, other = Database.open(path, SCHEMAS), Database.open(path, SCHEMAS)
    first = talk(Conversations(one), "from one", "deck")
    assert ids(ConversationList(other).search("deck")) == [first.id]
    second = talk(Conversations(other), "from the other", "deck")
    assert ids(ConversationList(one).search("deck")) == [second.id, first.id]
    one.close()
    other.close()


@given(
    st.lists(st.text("aé量 -化1ก.", max_size=8), min_size=1, max_size=4),
    st.text("aÉ量 -化1ก.", max_size=5),
)
def test_with_and_without_an_index_the_same_is_found(said: list[str], typed: str) -> None:
    database = Database.in_memory(SCHEMAS)
    kept = Conversations(database)
    for text in said:
        kept.say(kept.create().id, None, text)

    indexed = ConversationList(database, indexed=True).search(typed)
    assert indexed == ConversationList(database, indexed=False).search(typed)
    assert all(each.found is None or marked(each) or each.message_id is None for each in indexed)
    database.close()


def test_the_index_of_thousands_of_messages_is_made_in_steps(database: Database) -> None:
    kept = Conversations(database)
    chat = talk(kept, "hello", "there")
    with database.transaction() as connection:
        connection.executemany(
            "INSERT INTO messages (conversation, role, text, reasoning, model, engine, state,"
            " error, writer, started) VALUES (?, 'user', ?, '', '', '', 'done', '', '', 0)",
            ((chat.id, f"number n{number}") for number in range(1234)),
        )
    listing = ConversationList(database, indexed=True)

    assert [len(listing.search(f"n{number}")) for number in (0, 499, 500, 1233, 1234)] == [
        *(1, 1, 1, 1, 0)
    ]
    assert database.rows("SELECT 1 FROM search_changes") == []
