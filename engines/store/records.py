"""A whole conversation with every branch and every number, read at once: what is exported."""

from __future__ import annotations

from dataclasses import dataclass, field
from sqlite3 import Row
from typing import get_args

from modeldeck.engines.chat import ClockSource, Image, Role, Timings
from modeldeck.engines.store.conversations import Conversation, Conversations, State
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.images import images_of


@dataclass(frozen=True, slots=True)
class Record:
    """One message. Times are in seconds since 1970; what was not measured is None.

    Attributes:
        id: its number.
        parent: the message before it; None for a first one.
        role: whose it is.
        text: what was said, as far as it is kept.
        reasoning: of the model.
        model: that answered.
        engine: that ran the model.
        state: how far it came.
        error: why it failed or was stopped.
        started: when it was begun.
        ended: when an answer ended.
        prompt_tokens: cached ones included.
        cached_tokens: those of them that were not computed.
        completion_tokens: written by the model.
        first_token_ns: from the question to the first token, by our clock.
        timings: of prefill and decode, with who measured them.
        images: shown to the model with it.
    """

    id: int
    parent: int | None
    role: Role
    text: str
    reasoning: str = ""
    model: str = ""
    engine: str = ""
    state: State = "done"
    error: str = ""
    started: int = 0
    ended: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    first_token_ns: int | None = None
    timings: Timings | None = None
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class ConversationRecord:
    """A conversation and all its messages, the oldest first; ``created`` in seconds since 1970."""

    conversation: Conversation
    created: int = 0
    messages: tuple[Record, ...] = field(default=())

    @property
    def branch(self) -> tuple[Record, ...]:
        """The messages of the branch that is followed, the oldest first."""
        known = {message.id: message for message in self.messages}
        branch: list[Record] = []
        at = known.pop(self.conversation.leaf or 0, None)
        while at is not None:
            branch.append(at)
            at = known.pop(at.parent or 0, None)
        return tuple(reversed(branch))


def read_record(
    database: Database, conversations: Conversations, conversation_id: int
) -> ConversationRecord:
    """Everything that is kept of a conversation. Raises StoreError: it has gone, for one."""
    conversation = conversations.get(conversation_id)
    created = database.rows("SELECT created FROM conversations WHERE id = ?", (conversation_id,))
    rows = database.rows(
        """
        SELECT *,
            coalesce((SELECT group_concat(text, '') FROM
                (SELECT text FROM chunks WHERE message = messages.id ORDER BY id)), '') AS more,
            coalesce((SELECT group_concat(reasoning, '') FROM
                (SELECT reasoning FROM chunks WHERE message = messages.id ORDER BY id)), '')
                AS more_reasoning
        FROM messages WHERE conversation = ? ORDER BY id
        """,
        (conversation_id,),
    )
    images = images_of(database, (row["id"] for row in rows))
    return ConversationRecord(
        conversation,
        created[0]["created"] if created else 0,
        tuple(_record(row, images.get(row["id"], ())) for row in rows),
    )


def _record(row: Row, images: tuple[Image, ...]) -> Record:
    return Record(
        id=row["id"],
        parent=row["parent"],
        role=row["role"],
        text=row["text"] + row["more"],
        reasoning=row["reasoning"] + row["more_reasoning"],
        model=row["model"],
        engine=row["engine"],
        state=row["state"],
        error=row["error"],
        started=row["started"],
        ended=row["ended"],
        prompt_tokens=row["prompt_tokens"],
        cached_tokens=row["cached_tokens"],
        completion_tokens=row["completion_tokens"],
        first_token_ns=row["first_token_ns"],
        timings=_timings(row),
        images=images,
    )


def _timings(row: Row) -> Timings | None:
    if row["timing_source"] not in get_args(ClockSource):
        return None
    return Timings(
        source=row["timing_source"],
        prompt_tokens=row["prefill_tokens"] or 0,
        cached_tokens=row["cached_tokens"] or 0,
        prefill_ns=row["prefill_ns"] or 0,
        decoded_tokens=row["decoded_tokens"] or 0,
        decode_ns=row["decode_ns"] or 0,
    )
