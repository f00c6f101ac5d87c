"""What a conversation asks of the jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from modeldeck.engines.chat import ChatMessage, ChatRequest
from modeldeck.engines.types import LoadedModel

if TYPE_CHECKING:
    from modeldeck.tui.reply import Keeper


class AnswersWritten(Protocol):
    """Who has answers written: the jobs."""

    def reply(
        self, message_id: int, engine_name: str, request: ChatRequest, keeper: Keeper
    ) -> None:
        """Begin an answer; its progress is reported about ``message_id``."""
        ...

    def stop_reply(self) -> None:
        """Stop the answer being written."""
        ...

    def count(self, loaded: LoadedModel, prompt: tuple[ChatMessage, ...], text: str) -> None:
        """Count the tokens of ``prompt``, which ends with ``text``; an older count is given up."""
        ...

    def weigh(self, loaded: LoadedModel, told: tuple[ChatMessage, ...], leaf: int) -> None:
        """Count the tokens of the conversation ``told``, whose last message is ``leaf``."""
        ...
