"""The conversation being held: what was said, what is being written, what waits for a model.

Stands between the chat screen (a view), the ledger (what is kept) and the jobs (who have answers
written). Knows nothing of Textual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.store.conversations import (
    Conversation,
    ConversationGone,
    Conversations,
    Message,
    Outcome,
    State,
)
from modeldeck.engines.store.stream_writer import StreamWriter
from modeldeck.engines.types import ChatMessage, ChatRequest, LoadedModel, Sampling
from modeldeck.tui.ledger import Ledger
from modeldeck.tui.talk_events import (
    Answering,
    Asked,
    Changed,
    ModelWanted,
    NotKept,
    TalkEvent,
)

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


def as_told(messages: tuple[Message, ...], system_prompt: str) -> tuple[ChatMessage, ...]:
    """A conversation as an engine is told it. Answers that never came are left out."""
    system = (ChatMessage("system", system_prompt),) if system_prompt.strip() else ()
    turns: list[ChatMessage] = []
    for message in messages:
        if message.role == "assistant" and not message.text:
            continue
        if turns and turns[-1].role == message.role:
            turns[-1] = ChatMessage(message.role, f"{turns[-1].content}\n\n{message.text}")
        else:
            turns.append(ChatMessage(message.role, message.text))
    return (*system, *turns)


class Talk:
    """One conversation at a time, and at most one answer being written.

    What is asked of it shows at once; keeping it follows in the ledger's thread, and a problem with
    that is told as ``NotKept``. Nothing here waits.
    """

    def __init__(
        self,
        conversations: Conversations,
        jobs: AnswersWritten,
        tell: Callable[[TalkEvent], None],
    ) -> None:
        self._conversations = conversations
        self._jobs = jobs
        self._ledger = Ledger()
        self._tell = tell
        self._loaded: LoadedModel | None = None
        self._writer: StreamWriter | None = None
        self._shown = 0
        self._stop_asked = False
        self.conversation: Conversation | None = None
        self.messages: tuple[Message, ...] = ()
        self.writing_id: int | None = None
        self.waiting = False
        self.keeping = False
        self.context_used_tokens: int | None = None
        self.system_prompt = ""
        self.sampling = Sampling()

    @property
    def busy(self) -> bool:
        """Whether something said is being kept, or an answer is being written or waits."""
        return self.keeping or self.waiting or self.writing_id is not None

    @property
    def can_stop(self) -> bool:
        """Whether there is an answer to stop, or one to come."""
        coming = self.keeping and not self._stop_asked
        return coming or self.waiting or self.writing_id is not None

    @property
    def can_ask_again(self) -> bool:
        """Whether there is a question, and nothing is being written."""
        return not self.busy and any(message.role == "user" for message in self.messages)

    @property
    def last_answer(self) -> str:
        """The text of the newest answer, empty when there is none."""
        answers = (m.text for m in reversed(self.messages) if m.role == "assistant" and m.text)
        return next(answers, "")

    @property
    def _leaf(self) -> int | None:
        return self.messages[-1].id if self.messages else None

    # Asking.

    def submit(self, text: str) -> None:
        """Say ``text`` and have it answered; it waits when no model is loaded.

        What cannot be kept comes back with ``NotKept``; nothing has changed then.
        """
        held, leaf, shown = self.conversation, self._leaf, self._shown
        prompt, sampling = self.system_prompt, self.sampling
        self.keeping, self._stop_asked = True, False
        self._tell(Asked(text))

        def keep() -> tuple[Conversation, Message]:
            conversation = held or self._conversations.create(prompt, sampling)
            return conversation, self._conversations.say(conversation.id, leaf, text)

        def kept(result: tuple[Conversation, Message]) -> None:
            if shown != self._shown:
                return
            self.keeping = False
            self.conversation, message = result
            self.messages = (*self.messages, message)
            if not self._stop_asked:
                self._answer_or_wait()

        def failed(error: ModeldeckError) -> None:
            self._not_kept(error, shown, text)

        self._ledger.keep(keep, kept, failed)

    def again(self) -> None:
        """Have the last question answered once more; the old answer stays as another branch."""
        if not self.can_ask_again:
            return
        kept = list(self.messages)
        while kept and kept[-1].role != "user":
            kept.pop()
        self._stop_asked = False
        self.messages = tuple(kept)
        self._tell(Changed())
        self._answer_or_wait()

    def _answer_or_wait(self) -> None:
        if self._loaded is None:
            self.waiting = True
            self._tell(ModelWanted())
        else:
            self._answer(self._loaded)

    def _answer(self, loaded: LoadedModel) -> None:
        if self.conversation is None:
            return
        self.waiting, self.keeping = False, True
        conversation, leaf, shown = self.conversation.id, self._leaf, self._shown
        name, engine = loaded.model.name, loaded.engine

        def begun(answer: Message) -> None:
            if shown != self._shown:
                self._finish(answer.id, None, Outcome("stopped"))
                return
            self.keeping = False
            self.messages = (*self.messages, answer)
            self.writing_id = answer.id
            self._write(loaded, answer.id)

        def failed(error: ModeldeckError) -> None:
            self._not_kept(error, shown)

        self._ledger.keep(
            lambda: self._conversations.begin_answer(conversation, leaf, name, engine),
            begun,
            failed,
        )

    def _write(self, loaded: LoadedModel, answer_id: int) -> None:
        self._tell(Answering(answer_id, loaded.model.name))
        if self._stop_asked:
            self._close_answer(answer_id, Outcome("stopped"), "", "")
            self._tell(Changed())
            return
        self._writer = StreamWriter(self._conversations, answer_id)
        said = as_told(self.messages, self.system_prompt)
        request = ChatRequest(loaded.instance, said, self.sampling)
        self._jobs.reply(answer_id, loaded.engine, request, self._writer)

    def _not_kept(self, error: ModeldeckError, shown: int, text: str = "") -> None:
        if shown == self._shown:
            self.keeping = False
            self._tell(Changed())
        self._tell(NotKept(error, text))

    # The end of an answer.

    def ended(self, message_id: int, end: ReplyEnd) -> None:
        """Close the answer that ended."""
        if message_id != self.writing_id:
            return
        state: State = "done"
        if end.error is not None:
            state = "failed"
        elif end.reason == "cancelled":
            state = "stopped"
        cause = end.error.cause if end.error else ""
        outcome = Outcome(state, cause, end.usage, end.reading.first_token_ns)
        self._close_answer(message_id, outcome, end.text, end.reasoning)

    def _close_answer(self, message_id: int, outcome: Outcome, text: str, reasoning: str) -> None:
        self.writing_id = None
        writer, self._writer = self._writer, None
        usage = outcome.usage
        if self._leaf == message_id:
            if usage is not None:
                self.context_used_tokens = usage.prompt_tokens + usage.completion_tokens
            closed = replace(
                self.messages[-1],
                text=text,
                reasoning=reasoning,
                state=outcome.state,
                error=outcome.error,
                completion_tokens=usage.completion_tokens if usage else None,
            )
            self.messages = (*self.messages[:-1], closed)
        self._finish(message_id, writer, outcome)

    def _finish(self, message_id: int, writer: StreamWriter | None, outcome: Outcome) -> None:
        def finish() -> None:
            try:
                if writer is not None:
                    writer.close()
                    if writer.problem is not None:
                        raise writer.problem
                self._conversations.finish(message_id, outcome)
            except ConversationGone:
                pass  # another deck deleted it: there is nothing to keep it in

        def failed(error: ModeldeckError) -> None:
            self._tell(
                NotKept(
                    ModeldeckError(
                        f"The answer is not kept yet: {error.cause}",
                        f"{error.next_step} It is tried again with your next message.",
                    )
                )
            )

        self._ledger.owe(finish, failed)

    def stop(self) -> None:
        """Stop the answer being written, or waiting."""
        self.waiting = False
        self._stop_asked = True
        if self.writing_id is not None:
            self._jobs.stop_reply()

    # The conversation.

    def new(self) -> None:
        """Begin a new conversation with the same settings."""
        self._leave()
        self.conversation = None
        self.messages = ()
        self.context_used_tokens = None
        self._tell(Changed())

    def _leave(self) -> int:
        """Show another conversation from now on: what was asked for this one comes too late."""
        self.stop()
        self.keeping = False
        self._shown += 1
        return self._shown

    def configure(self, system_prompt: str, sampling: Sampling) -> None:
        """Take the system prompt and sampling for what is asked from now on."""
        self.system_prompt, self.sampling = system_prompt, sampling
        if self.conversation is None:
            return
        changed = replace(self.conversation, system_prompt=system_prompt, sampling=sampling)
        self.conversation = changed
        self._ledger.keep(
            lambda: self._conversations.configure(changed),
            lambda _: None,
            lambda error: self._tell(NotKept(error)),
        )

    # The model.

    def model_changed(self, loaded: LoadedModel | None) -> None:
        """Another model is loaded, or none; a question that waits is answered now."""
        self._loaded = loaded
        if loaded is not None and self.waiting:
            self._answer(loaded)

    def load_failed(self) -> None:
        """The model did not come: nothing waits for it any more."""
        self._loaded = None
        self.waiting = False

    def close(self) -> ModeldeckError | None:
        """Keep what is being written as stopped: the deck is closing. Needs the event loop.

        Returns why something stays unkept, if it does.
        """
        if self.writing_id is not None:
            outcome = Outcome("stopped", "The deck was closed.")
            self._finish(self.writing_id, self._writer, outcome)
            self.writing_id, self._writer = None, None
        return self._ledger.close()
