"""Conversations, kept as they are written.

A conversation is a tree: every message knows its parent, and the conversation knows the leaf that
is being followed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from sqlite3 import Connection, IntegrityError, Row
from typing import Final, Literal

from modeldeck.engines.chat import Image, Role, Sampling, Usage
from modeldeck.engines.store import sampling_text
from modeldeck.engines.store.branches import Tree, read_tree
from modeldeck.engines.store.conversation_tables import CONVERSATIONS
from modeldeck.engines.store.database import Database, StoreError
from modeldeck.engines.store.images import images_of, keep_images
from modeldeck.engines.store.writers import is_writing, writer_mark
from modeldeck.engines.text import clean, clean_line

_TITLE: Final = 80
SCHEMA: Final = CONVERSATIONS
State = Literal["writing", "done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn as it is kept."""

    id: int
    conversation: int
    parent: int | None
    role: Role
    text: str
    reasoning: str = ""
    model: str = ""
    engine: str = ""
    state: State = "done"
    error: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    thought_ns: int | None = None
    thought_tokens: int | None = None
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation without its messages; ``leaf`` is the last message of the branch followed."""

    id: int
    title: str
    updated: int
    system_prompt: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    leaf: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an answer ended. ``error`` is why, also when it just stopped short."""

    state: State
    error: str = ""
    usage: Usage | None = None
    first_token_ns: int | None = None
    thought_ns: int | None = None
    thought_tokens: int | None = None


class ConversationGone(StoreError):
    """The conversation was deleted, by another deck perhaps."""


class Conversations:
    """All conversations of a user. Every method may raise StoreError."""

    def __init__(self, database: Database, *, end_orphans: bool = True) -> None:
        """Use ``database``.

        Args:
            database: where they are kept.
            end_orphans: call ``end_orphans`` at once; who may not wait for the disk does it later.
        """
        self._database = database
        self._writer = writer_mark(os.getpid())
        if end_orphans:
            self.end_orphans()

    def end_orphans(self) -> None:
        """Mark the answers as stopped that a deck left unfinished when it was killed."""
        open_rows = self._database.rows("SELECT id, writer FROM messages WHERE state = 'writing'")
        orphans = [row["id"] for row in open_rows if not is_writing(row["writer"])]
        if not orphans:
            return
        with contextlib.suppress(StoreError), self._transaction() as connection:
            for message_id in orphans:
                _fold(connection, message_id)
                connection.execute(
                    "UPDATE messages SET state = 'stopped', error = ? WHERE id = ?",
                    ("The deck was closed while this was written.", message_id),
                )

    @contextlib.contextmanager
    def _transaction(self) -> Generator[Connection]:
        try:
            with self._database.transaction() as connection:
                yield connection
        except IntegrityError as error:
            raise _gone() from error

    def create(self, system_prompt: str = "", sampling: Sampling | None = None) -> Conversation:
        """Begin a conversation."""
        now = int(time.time())
        prompt, sampling = clean(system_prompt), sampling or Sampling()
        with self._transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO conversations (title, created, updated, system_prompt, sampling)"
                " VALUES ('', ?, ?, ?, ?)",
                (now, now, prompt, sampling_text.to_text(sampling)),
            )
            identity = cursor.lastrowid or 0
        return Conversation(identity, "", now, prompt, sampling)

    def recent(self, limit: int = 50) -> tuple[Conversation, ...]:
        """The conversations something was said in last, newest first.

        By the numbers of their messages, not by time: a clock may be set back.
        """
        rows = self._database.rows(
            "SELECT *, (SELECT max(id) FROM messages WHERE conversation = conversations.id) AS last"
            " FROM conversations ORDER BY last DESC, id DESC LIMIT ?",
            (limit,),
        )
        return tuple(_conversation(row) for row in rows)

    def get(self, conversation_id: int) -> Conversation:
        """One conversation. Raises StoreError when there is none."""
        rows = self._database.rows("SELECT * FROM conversations WHERE id = ?", (conversation_id,))
        if not rows:
            raise _gone()
        return _conversation(rows[0])

    def configure(self, conversation: Conversation) -> None:
        """Keep the conversation's system prompt and sampling."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE conversations SET system_prompt = ?, sampling = ? WHERE id = ?",
                (
                    clean(conversation.system_prompt),
                    sampling_text.to_text(conversation.sampling),
                    conversation.id,
                ),
            )

    def drop(self, conversation_id: int) -> None:
        """Delete a conversation with all its messages."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))

    def branch(self, leaf: int | None) -> tuple[Message, ...]:
        """The messages from the first to ``leaf``, oldest first."""
        rows = self._database.rows(
            """
            WITH RECURSIVE branch(id, depth) AS (
                SELECT id, 0 FROM messages WHERE id = ?
                UNION ALL
                SELECT messages.parent, depth + 1 FROM messages JOIN branch USING (id)
                WHERE messages.parent < messages.id
            )
            SELECT messages.*,
                text || coalesce((SELECT group_concat(text, '') FROM
                    (SELECT text FROM chunks WHERE message = messages.id ORDER BY id)), '')
                    AS whole_text,
                reasoning || coalesce((SELECT group_concat(reasoning, '') FROM
                    (SELECT reasoning FROM chunks WHERE message = messages.id ORDER BY id)), '')
                    AS whole_reasoning
            FROM messages JOIN branch USING (id) ORDER BY branch.depth DESC
            """,
            (leaf,),
        )
        images = images_of(self._database, (row["id"] for row in rows))
        return tuple(_message(row, images.get(row["id"], ())) for row in rows)

    def tree(self, conversation_id: int) -> Tree:
        """The shape of a conversation, all branches of it."""
        return read_tree(self._database, conversation_id)

    def say(
        self,
        conversation_id: int,
        parent: int | None,
        text: str,
        images: tuple[Image, ...] = (),
    ) -> Message:
        """Keep what the user said, and showed, below ``parent``."""
        message = Message(0, conversation_id, parent, "user", clean(text), images=images)
        return self._add(message, title=clean_line(text, _TITLE))

    def begin_answer(
        self, conversation_id: int, parent: int | None, model: str, engine: str
    ) -> Message:
        """Keep an answer that is about to be written."""
        state: State = "writing"
        return self._add(
            Message(0, conversation_id, parent, "assistant", "", "", model, engine, state)
        )

    def _add(self, message: Message, title: str = "") -> Message:
        now = int(time.time())
        with self._transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO messages (conversation, parent, role, text, reasoning, model, engine,"
                " state, error, writer, started) VALUES (?, ?, ?, ?, '', ?, ?, ?, '', ?, ?)",
                (
                    message.conversation,
                    message.parent,
                    message.role,
                    message.text,
                    message.model,
                    message.engine,
                    message.state,
                    self._writer,
                    now,
                ),
            )
            identity = cursor.lastrowid or 0
            keep_images(connection, identity, message.images)
            connection.execute(
                "UPDATE conversations SET leaf = ?, updated = ?,"
                " title = CASE WHEN title = '' THEN ? ELSE title END WHERE id = ?",
                (identity, now, title, message.conversation),
            )
        return replace(message, id=identity)

    def append(self, message_id: int, text: str, reasoning: str) -> None:
        """Keep the next piece of an answer. Costs the same however long the answer is."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO chunks (message, text, reasoning) VALUES (?, ?, ?)",
                (message_id, clean(text), clean(reasoning)),
            )

    def finish(self, message_id: int, outcome: Outcome) -> None:
        """Close an answer: its pieces become one text, its counts and times are kept."""
        usage = outcome.usage
        timings = usage.timings if usage else None
        with self._database.transaction() as connection:
            _fold(connection, message_id)
            connection.execute(
                "UPDATE messages SET state = ?, error = ?, ended = ?, prompt_tokens = ?,"
                " cached_tokens = ?, completion_tokens = ?, first_token_ns = ?, prefill_tokens = ?,"
                " prefill_ns = ?, decoded_tokens = ?, decode_ns = ?, timing_source = ?,"
                " thought_ns = ?, thought_tokens = ?"
                " WHERE id = ?",
                (
                    outcome.state,
                    clean_line(outcome.error),
                    int(time.time()),
                    usage.prompt_tokens if usage else None,
                    usage.cached_tokens if usage else None,
                    usage.completion_tokens if usage else None,
                    outcome.first_token_ns,
                    timings.prompt_tokens if timings else None,
                    timings.prefill_ns if timings else None,
                    timings.decoded_tokens if timings else None,
                    timings.decode_ns if timings else None,
                    timings.source if timings else None,
                    outcome.thought_ns,
                    outcome.thought_tokens,
                    message_id,
                ),
            )

    def follow(self, conversation_id: int, leaf: int | None) -> None:
        """Follow another branch: its last message is ``leaf``."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE conversations SET leaf = ? WHERE id = ?", (leaf, conversation_id)
            )


def _gone() -> ConversationGone:
    return ConversationGone("That conversation has gone.", "Begin a new one.")


def _fold(connection: Connection, message_id: int) -> None:
    chunks = connection.execute(
        "SELECT text, reasoning FROM chunks WHERE message = ? ORDER BY id", (message_id,)
    ).fetchall()
    connection.execute(
        "UPDATE messages SET text = text || ?, reasoning = reasoning || ? WHERE id = ?",
        (
            "".join(chunk["text"] for chunk in chunks),
            "".join(chunk["reasoning"] for chunk in chunks),
            message_id,
        ),
    )
    connection.execute("DELETE FROM chunks WHERE message = ?", (message_id,))


def _conversation(row: Row) -> Conversation:
    return Conversation(
        id=row["id"],
        title=row["title"],
        updated=row["updated"],
        system_prompt=row["system_prompt"],
        sampling=sampling_text.from_text(row["sampling"]),
        leaf=row["leaf"],
    )


def _message(row: Row, images: tuple[Image, ...]) -> Message:
    return Message(
        id=row["id"],
        conversation=row["conversation"],
        parent=row["parent"],
        role=row["role"],
        text=row["whole_text"],
        reasoning=row["whole_reasoning"],
        model=row["model"],
        engine=row["engine"],
        state=row["state"],
        error=row["error"],
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        thought_ns=row["thought_ns"],
        thought_tokens=row["thought_tokens"],
        images=images,
    )
