"""The conversations as a list: the newest, and those that say what is searched for.

Triggers on the messages write down, in a plain table, which ones have changed; a search takes them
into the full-text index first. So writing an answer costs nothing but one row at its end, and an
SQLite without FTS5 can use the same file: it then reads every message.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from sqlite3 import Connection, Row
from typing import Final

from modeldeck.engines.store.database import Database, StoreError
from modeldeck.engines.store.search_words import Finder, Query, Snippet, query_of, spaced
from modeldeck.engines.store.writers import is_writing
from modeldeck.engines.text import clean_line

TITLE_CHARACTERS: Final = 80
_BATCH: Final = 500
"""Messages indexed in one transaction, so that others who write need not wait for long."""

_INDEX: Final = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS message_words"
    " USING fts5(words, tokenize = 'unicode61 remove_diacritics 2')"
)
_LISTED: Final = """
    SELECT id, title, updated,
        (SELECT count(*) FROM messages WHERE conversation = conversations.id) AS count,
        (SELECT model FROM messages WHERE conversation = conversations.id AND model <> ''
            ORDER BY id DESC LIMIT 1) AS model,
        (SELECT max(id) FROM messages WHERE conversation = conversations.id) AS last
    FROM conversations
    WHERE leaf IS NOT NULL AND (?1 IS NULL OR id IN (SELECT value FROM json_each(?1)))
    ORDER BY last DESC, id DESC LIMIT ?2
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """One conversation of the list.

    Attributes:
        id: of the conversation.
        title: the first words said, until it is renamed.
        model: that answered last; empty when none has.
        updated: when something was last said, in seconds since 1970.
        message_count: over all its branches.
        title_hits: the parts of the title that were searched for.
        found: where it says what was searched for; None in the list of all.
        message_id: the message of ``found``.
    """

    id: int
    title: str
    model: str
    updated: int
    message_count: int
    title_hits: tuple[tuple[int, int], ...] = ()
    found: Snippet | None = None
    message_id: int | None = None


class ConversationList:
    """Finds and renames conversations. Every method may raise StoreError."""

    def __init__(self, database: Database, *, indexed: bool | None = None) -> None:
        """Read ``database``.

        Args:
            database: opened with this module's and the conversations' schemas.
            indexed: use a full-text index; None where this SQLite has FTS5.
        """
        self._database = database
        self._indexed = has_fts5() if indexed is None else indexed

    def recent(self, limit: int = 200) -> tuple[Listed, ...]:
        """The conversations in which something was said, the newest first.

        By the numbers of their messages, not by time: a clock may be set back.
        """
        rows = self._database.rows(_LISTED, (None, limit))
        return tuple(_listed(row) for row in rows)

    def search(self, typed: str, limit: int = 100) -> tuple[Listed, ...]:
        """The conversations with a message, or a title, that has every word typed; newest first.

        The last letters of each word may be missing; case and accents do not count. Nothing typed
        finds what ``recent`` does.
        """
        query = query_of(typed)
        if not query.words:
            return self.recent(limit)
        finder = Finder(query)
        hits = self._hits(query, finder)
        titles = self._database.rows("SELECT id, title FROM conversations")
        wanted = hits.keys() | {row["id"] for row in titles if finder.found_in(row["title"])}
        rows = self._database.rows(_LISTED, (str(sorted(wanted)), limit))
        texts = self._texts(hits[row["id"]] for row in rows if row["id"] in hits)
        found: list[Listed] = []
        for row in rows:
            message = hits.get(row["id"])
            snippet = finder.snippet(texts[message]) if message in texts else Snippet("")
            listed = replace(_listed(row), title_hits=finder.hits(row["title"]))
            found.append(replace(listed, found=snippet, message_id=message))
        return tuple(found)

    def rename(self, conversation_id: int, title: str) -> None:
        """Give a conversation another title; an empty one changes nothing."""
        title = clean_line(title, TITLE_CHARACTERS)
        if not title:
            return
        with self._database.transaction() as connection:
            done = connection.execute(
                "UPDATE conversations SET title = ? WHERE id = ?", (title, conversation_id)
            )
            if done.rowcount == 0:
                raise gone()

    def is_being_written(self, conversation_id: int) -> bool:
        """Whether a deck, this one or another, is writing an answer in it now."""
        rows = self._database.rows(
            "SELECT writer FROM messages WHERE conversation = ? AND state = 'writing'",
            (conversation_id,),
        )
        return any(is_writing(row["writer"]) for row in rows)

    # Searching.

    def _hits(self, query: Query, finder: Finder) -> dict[int, int]:
        """Conversation to its newest message that has every word."""
        if self._indexed:
            self._index_changes()
            rows = self._database.rows(
                "SELECT conversation, max(messages.id) AS message FROM message_words"
                " JOIN messages ON messages.id = message_words.rowid"
                " WHERE message_words MATCH ? GROUP BY conversation",
                (query.match,),
            )
            return {row["conversation"]: row["message"] for row in rows}
        return {
            row["conversation"]: row["id"]
            for row in self._database.rows(
                "SELECT id, conversation, text FROM messages WHERE state <> 'writing' ORDER BY id"
            )
            if finder.found_in(row["text"])
        }

    def _index_changes(self) -> None:
        """Take every change into the index."""
        left = True
        while left:
            with self._database.transaction() as connection:
                connection.execute(_INDEX)
                left = _index_batch(connection)

    def _texts(self, messages: Iterable[int]) -> dict[int, str]:
        rows = self._database.rows(
            "SELECT id, text FROM messages WHERE id IN (SELECT value FROM json_each(?))",
            (str(list(messages)),),
        )
        return {row["id"]: row["text"] for row in rows}


def has_fts5() -> bool:
    """Whether the SQLite of this Python can make full-text indexes. Takes 1 ms."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5(word)")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


def gone() -> StoreError:
    """A conversation that is no longer there: another deck has deleted it."""
    return StoreError("That conversation has been deleted.", "Choose another one.")


def _index_batch(connection: Connection) -> bool:
    """Index some of the changed messages. Returns whether there may be more."""
    changed = connection.execute(
        "SELECT message, text FROM search_changes LEFT JOIN messages ON id = message"
        " AND state <> 'writing' ORDER BY message LIMIT ?",
        (_BATCH,),
    ).fetchall()
    for message, text in changed:
        connection.execute("DELETE FROM message_words WHERE rowid = ?", (message,))
        if text:
            connection.execute(
                "INSERT INTO message_words (rowid, words) VALUES (?, ?)", (message, spaced(text))
            )
        connection.execute("DELETE FROM search_changes WHERE message = ?", (message,))
    return len(changed) == _BATCH


def _listed(row: Row) -> Listed:
    return Listed(
        id=row["id"],
        title=row["title"],
        model=row["model"] or "",
        updated=row["updated"],
        message_count=row["count"],
    )
