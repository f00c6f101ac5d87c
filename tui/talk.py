"""The conversation being held: what was said, what is being written, what waits for a model.

Stands between the chat screen (a view), the store (what is kept) and the jobs (who have answers
written). Knows nothing of Textual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.store.conversations import (
    Conversation,
    Conversations,
    Message,
    Outcome,
    State,
)
from modeldeck.engines.store.stream_writer import StreamWriter
from modeldeck.engines.types import ChatMessage, ChatRequest, LoadedModel, Sampling

if TYPE_CHECKING:
    from modeldeck.tui.reply import Keeper, ReplyEnd


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


@dataclass(frozen=True, slots=True)
class Asked:
    """The user's message is kept and can be shown."""

    text: str


@dataclass(frozen=True, slots=True)
class Answering:
    """An answer begins."""

    message_id: int
    model: str


@dataclass(frozen=True, slots=True)
class Changed:
    """Another branch or conversation is to be shown."""


@dataclass(frozen=True, slots=True)
class ModelWanted:
    """A question waits and no model is loaded."""


TalkEvent = Asked | Answering | Changed | ModelWanted


class Talk:
    """One conversation at a time, and at most one answer being written."""

    def __init__(
        self,
        conversations: Conversations,
        jobs: AnswersWritten,
        tell: Callable[[TalkEvent], None],
    ) -> None:
        self._conversations = conversations
        self._jobs = jobs
        self._tell = tell
        self._loaded: LoadedModel | None = None
        self._writer: StreamWriter | None = None
        self.conversation: Conversation | None = None
        self.messages: tuple[Message, ...] = ()
        self.writing_id: int | None = None
        self.waiting = False
        self.context_used_tokens: int | None = None
        self.system_prompt = ""
        self.sampling = Sampling()

    @property
    def busy(self) -> bool:
        """Whether an answer is being written or waits for a model."""
        return self.writing_id is not None or self.waiting

    @property
    def can_ask_again(self) -> bool:
        """Whether there is a question, and nothing is being written."""
        return not self.busy and any(message.role == "user" for message in self.messages)

    def submit(self, text: str) -> None:
        """Say ``text`` and have it answered; it waits when no model is loaded.

        Raises:
            ModeldeckError: it could not be kept; nothing has changed then.
        """
        if self.conversation is None:
            self.conversation = self._conversations.create(self.system_prompt, self.sampling)
        message = self._conversations.say(self.conversation.id, self._leaf, text)
        self.messages = (*self.messages, message)
        self._tell(Asked(text))
        self._answer_or_wait()

    @property
    def _leaf(self) -> int | None:
        return self.messages[-1].id if self.messages else None

    def _answer_or_wait(self) -> None:
        if self._loaded is None:
            self.waiting = True
            self._tell(ModelWanted())
        else:
            self._answer(self._loaded)

    def _answer(self, loaded: LoadedModel) -> None:
        if self.conversation is None:
            return
        self.waiting = False
        said = self._said()
        answer = self._conversations.begin_answer(
            self.conversation.id, self._leaf, loaded.model.name, loaded.engine
        )
        self.messages = (*self.messages, answer)
        self.writing_id = answer.id
        self._writer = StreamWriter(self._conversations, answer.id)
        self._tell(Answering(answer.id, loaded.model.name))
        request = ChatRequest(loaded.instance, said, self.sampling)
        self._jobs.reply(answer.id, loaded.engine, request, self._writer)

    def _said(self) -> tuple[ChatMessage, ...]:
        """The conversation as an engine is told it. Answers that never came are left out."""
        system = (ChatMessage("system", self.system_prompt),) if self.system_prompt.strip() else ()
        turns: list[ChatMessage] = []
        for message in self.messages:
            if message.role == "assistant" and not message.text:
                continue
            if turns and turns[-1].role == message.role:
                turns[-1] = ChatMessage(message.role, f"{turns[-1].content}\n\n{message.text}")
            else:
                turns.append(ChatMessage(message.role, message.text))
        return (*system, *turns)

    def ended(self, message_id: int, end: ReplyEnd) -> ModeldeckError | None:
        """Close the answer that ended. Returns a problem with keeping it, if there was one."""
        if message_id != self.writing_id:
            return None
        self.writing_id = None
        writer, self._writer = self._writer, None
        state: State = "done"
        if end.error is not None:
            state = "failed"
        elif end.reason == "cancelled":
            state = "stopped"
        usage = end.usage
        if usage is not None:
            self.context_used_tokens = usage.prompt_tokens + usage.completion_tokens
        outcome = Outcome(
            state, end.error.cause if end.error else "", usage, end.reading.first_token_ns
        )
        problem: ModeldeckError | None = None
        try:
            if writer is not None:
                writer.close()
                problem = writer.problem
            self._conversations.finish(message_id, outcome)
            self.messages = self._conversations.branch(message_id)
        except ModeldeckError as error:
            problem = error
        return problem

    def stop(self) -> None:
        """Stop the answer being written, or waiting."""
        self.waiting = False
        if self.writing_id is not None:
            self._jobs.stop_reply()

    def again(self) -> None:
        """Have the last question answered once more; the old answer stays as another branch."""
        if not self.can_ask_again or self.conversation is None:
            return
        kept = list(self.messages)
        while kept and kept[-1].role != "user":
            kept.pop()
        self._conversations.follow(self.conversation.id, kept[-1].id)
        self.messages = tuple(kept)
        self._tell(Changed())
        self._answer_or_wait()

    def new(self) -> None:
        """Begin a new conversation with the same settings."""
        self.stop()
        self.conversation = None
        self.messages = ()
        self.context_used_tokens = None
        self._tell(Changed())

    def configure(self, system_prompt: str, sampling: Sampling) -> None:
        """Take the system prompt and sampling for what is asked from now on."""
        self.system_prompt, self.sampling = system_prompt, sampling
        if self.conversation is not None:
            self.conversation = replace(
                self.conversation, system_prompt=system_prompt, sampling=sampling
            )
            self._conversations.configure(self.conversation)

    def model_changed(self, loaded: LoadedModel | None) -> None:
        """Another model is loaded, or none; a question that waits is answered now."""
        self._loaded = loaded
        if loaded is not None and self.waiting:
            self._answer(loaded)

    def load_failed(self) -> None:
        """The model did not come: nothing waits for it any more."""
        self._loaded = None
        self.waiting = False

    @property
    def last_answer(self) -> str:
        """The text of the newest answer, empty when there is none."""
        answers = (m.text for m in reversed(self.messages) if m.role == "assistant" and m.text)
        return next(answers, "")

    def close(self) -> None:
        """Keep what is being written as stopped: the deck is closing."""
        writer, self._writer = self._writer, None
        message_id, self.writing_id = self.writing_id, None
        if writer is not None and message_id is not None:
            writer.close()
            self._conversations.finish(message_id, Outcome("stopped", "The deck was closed."))
