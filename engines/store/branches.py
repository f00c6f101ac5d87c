"""The shape of a conversation: which message follows which, and where it forks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from modeldeck.engines.store.database import Database

_EMPTY: Mapping[int, int | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Fork:
    """A message that has others beside it: it is number ``index``, from 1, of ``count``."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass(frozen=True, slots=True)
class Tree:
    """The messages of one conversation without their words.

    Attributes:
        parents: message to the message it follows, None for a first one; in the order of writing.
    """

    parents: Mapping[int, int | None] = field(default_factory=lambda: _EMPTY)

    def with_message(self, message: int, parent: int | None) -> Tree:
        """The same with one message more."""
        return Tree({**self.parents, message: parent})

    def siblings(self, parent: int | None) -> tuple[int, ...]:
        """The messages that follow ``parent``, the oldest first."""
        return tuple(child for child, above in self.parents.items() if above == parent)

    def forks(self, leaf: int | None) -> dict[int, Fork]:
        """The messages of the branch to ``leaf`` that have others beside them."""
        children = self._children()
        beside = {message: children[self.parents[message]] for message in self._upwards(leaf)}
        return {
            message: Fork(each.index(message) + 1, len(each))
            for message, each in beside.items()
            if len(each) > 1
        }

    def next_branch(self, leaf: int | None) -> int | None:
        """The end of the branch to show after the one to ``leaf``; None when there is no other.

        From the newest to the oldest and round again, so that every branch is reached, and the
        first after a question asked anew is the one it was asked in.
        """
        ends = self._ends()
        if leaf in ends:
            return ends[ends.index(leaf) - 1] if len(ends) > 1 else None
        return ends[-1] if ends else None

    def _ends(self) -> list[int]:
        """The last messages of all branches, as they stand side by side."""
        children = self._children()
        ends: list[int] = []
        waiting = children.get(None, [])[::-1]
        while waiting:
            message = waiting.pop()
            below = children.get(message, [])
            waiting += below[::-1]
            if not below:
                ends.append(message)
        return ends

    def _children(self) -> dict[int | None, list[int]]:
        children: dict[int | None, list[int]] = {}
        for message, parent in self.parents.items():
            children.setdefault(parent, []).append(message)
        return children

    def _upwards(self, leaf: int | None) -> Iterator[int]:
        at = leaf
        while at is not None and at in self.parents:
            yield at
            above = self.parents[at]
            at = above if above is None or above < at else None  # a damaged file may have rings


def read_tree(database: Database, conversation_id: int) -> Tree:
    """The tree of one conversation. Raises StoreError."""
    rows = database.rows(
        "SELECT id, parent FROM messages WHERE conversation = ? ORDER BY id", (conversation_id,)
    )
    return Tree({row["id"]: row["parent"] for row in rows})
