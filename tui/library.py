"""The kept conversations as a place to look through: found, named, deleted, written to files.

Every call is made in a thread of its own, so that a search through all messages holds up neither
the screen nor an answer that is being kept. Knows nothing of Textual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modeldeck.engines.paths import home_relative
from modeldeck.engines.store.conversation_list import ConversationList, Listed
from modeldeck.engines.store.conversations import Conversations
from modeldeck.engines.store.database import Database, StoreError
from modeldeck.engines.store.export_files import export
from modeldeck.engines.store.records import read_record
from modeldeck.tui.ledger import Failed, Ledger


@dataclass(frozen=True, slots=True)
class Found:
    """The conversations that answer to what was typed."""

    typed: str
    conversations: tuple[Listed, ...]


class Library:
    """What the list of conversations asks for; results follow on the event loop."""

    def __init__(self, database: Database, conversations: Conversations, folder: Path) -> None:
        """Look through ``database``.

        Args:
            database: of the conversations.
            conversations: that are kept in it.
            folder: where exported conversations go.
        """
        self._database = database
        self._conversations = conversations
        self._folder = folder
        self._listing = ConversationList(database)
        self._ledger = Ledger()
        self._wanted = 0

    def find(self, typed: str, done: Callable[[Found], None], failed: Failed) -> None:
        """Search. Only the newest of several searches is made and answered."""
        self._wanted += 1
        number = self._wanted

        def search() -> Found | None:
            if number != self._wanted:
                return None
            return Found(typed, self._listing.search(typed))

        def searched(found: Found | None) -> None:
            if found is not None and number == self._wanted:
                done(found)

        self._ledger.keep(search, searched, failed)

    def rename(
        self, conversation_id: int, title: str, done: Callable[[], None], failed: Failed
    ) -> None:
        """Give a conversation another title."""
        self._ledger.keep(
            lambda: self._listing.rename(conversation_id, title), lambda _: done(), failed
        )

    def delete(self, conversation_id: int, done: Callable[[], None], failed: Failed) -> None:
        """Delete a conversation in which nothing is being written."""

        def drop() -> None:
            self._refuse_while_written(conversation_id)
            self._conversations.drop(conversation_id)

        self._ledger.keep(drop, lambda _: done(), failed)

    def check(self, conversation_id: int, done: Callable[[], None], failed: Failed) -> None:
        """Whether a conversation can be gone on with: it is there, and no deck is writing in it."""

        def look() -> None:
            self._conversations.get(conversation_id)
            self._refuse_while_written(conversation_id)

        self._ledger.keep(look, lambda _: done(), failed)

    def _refuse_while_written(self, conversation_id: int) -> None:
        if self._listing.is_being_written(conversation_id):
            raise StoreError(
                "An answer is being written in that conversation, by another deck perhaps.",
                "Wait for its end, or stop it.",
            )

    def export(
        self, conversation_id: int, done: Callable[[tuple[Path, Path]], None], failed: Failed
    ) -> None:
        """Write a conversation to files; ``done`` gets the paths of the Markdown and the JSON."""

        def write() -> tuple[Path, Path]:
            record = read_record(self._database, self._conversations, conversation_id)
            return export(record, self._folder)

        self._ledger.keep(write, done, failed)

    def close(self) -> None:
        """Let the thread end. Safe to call twice."""
        self._wanted += 1
        self._ledger.close()


def saved_text(paths: tuple[Path, Path]) -> str:
    """Where an exported conversation is now."""
    return f"Saved as {home_relative(paths[0])} and {paths[1].suffix}."
