"""The branch of a conversation that is shown: its messages, and the tree they are part of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from modeldeck.engines.chat import ChatMessage, Image, Role
from modeldeck.engines.store.branches import Fork, Tree
from modeldeck.engines.store.conversations import Message


@dataclass(frozen=True, slots=True)
class Branch:
    """Messages from the first to the last one shown, the oldest first."""

    messages: tuple[Message, ...] = ()
    tree: Tree = field(default_factory=Tree)

    @property
    def leaf(self) -> int | None:
        """The last message."""
        return self.messages[-1].id if self.messages else None

    @property
    def last_question(self) -> Message | None:
        """The newest thing the user said."""
        return next((m for m in reversed(self.messages) if m.role == "user"), None)

    @property
    def last_answer(self) -> str:
        """The text of the newest answer, empty when there is none."""
        answers = (m.text for m in reversed(self.messages) if m.role == "assistant" and m.text)
        return next(answers, "")

    @property
    def forks(self) -> Mapping[int, Fork]:
        """The messages that have others beside them."""
        return self.tree.forks(self.leaf)

    @property
    def fork_to_be(self) -> str:
        """The mark of a message added now; empty when it will stand alone."""
        count = len(self.tree.siblings(self.leaf)) + 1
        return str(Fork(count, count)) if count > 1 else ""

    def with_message(self, message: Message) -> Branch:
        """The same with one message more."""
        tree = self.tree.with_message(message.id, message.parent)
        return Branch((*self.messages, message), tree)

    def ending_with(self, message: Message) -> Branch:
        """The same with the last message as it is now."""
        return replace(self, messages=(*self.messages[:-1], message))

    def before(self, message: Message) -> Branch:
        """Only what stands above ``message``."""
        return replace(self, messages=self.messages[: self.messages.index(message)])

    def up_to(self, message: Message) -> Branch:
        """Only what stands above ``message``, and itself."""
        return replace(self, messages=self.messages[: self.messages.index(message) + 1])

    def as_told(
        self,
        system_prompt: str,
        then: str = "",
        images: tuple[Image, ...] = (),
        *,
        sees_images: bool = False,
    ) -> tuple[ChatMessage, ...]:
        """The branch as an engine is told it, and what the user says, and shows, ``then``.

        Answers that never came are left out. A model that sees no images is told their names.
        """
        system = (ChatMessage("system", system_prompt),) if system_prompt.strip() else ()
        said = [_told(m.role, m.text, m.images, sees_images=sees_images) for m in self.messages]
        if then or images:
            said.append(_told("user", then, images, sees_images=sees_images))
        turns: list[ChatMessage] = []
        for turn in said:
            if turn.role == "assistant" and not turn.content:
                continue
            before = turns[-1] if turns else None
            if before is not None and before.role == turn.role:
                text = f"{before.content}\n\n{turn.content}"
                turns[-1] = ChatMessage(turn.role, text, before.images + turn.images)
            else:
                turns.append(turn)
        return (*system, *turns)


def _told(role: Role, text: str, images: tuple[Image, ...], *, sees_images: bool) -> ChatMessage:
    if sees_images or not images:
        return ChatMessage(role, text, images)
    names = "\n".join(f"[image: {image.name}]" for image in images)
    return ChatMessage(role, f"{names}\n{text}")
