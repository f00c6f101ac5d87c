"""The conversation being held: what was said, what is being written, what waits for a model.

Stands between the chat screen (a view), the ledger (what is kept) and the jobs (who have answers
written). Knows nothing of Textual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from modeldeck.engines.chat import ChatRequest, Image
from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.store.conversations import (
    Conversation,
    ConversationGone,
    Conversations,
    Message,
    Outcome,
)
from modeldeck.engines.store.model_settings import ChatSettings, ModelSettings
from modeldeck.engines.store.stream_writer import StreamWriter
from modeldeck.engines.types import LoadedModel
from modeldeck.tui.branch import Branch
from modeldeck.tui.chat_memory import ChatMemory
from modeldeck.tui.context_use import ContextUse, use_by_memory
from modeldeck.tui.endings import closed, outcome_of
from modeldeck.tui.ledger import Ledger
from modeldeck.tui.talk_events import (
    Answering,
    Asked,
    Changed,
    Configured,
    ModelWanted,
    NotKept,
    TalkEvent,
    Weighed,
)
from modeldeck.tui.talk_jobs import AnswersWritten

if TYPE_CHECKING:
    from modeldeck.tui.reply import ReplyEnd


class Talk:
    """One conversation at a time, and at most one answer being written.

    What is asked of it shows at once; keeping it follows in the ledger's thread, and a problem with
    that is told as ``NotKept``. Nothing here waits.
    """

    def __init__(
        self,
        conversations: Conversations,
        model_settings: ModelSettings,
        jobs: AnswersWritten,
        tell: Callable[[TalkEvent], None],
    ) -> None:
        self._conversations = conversations
        self._jobs = jobs
        self._ledger = Ledger()
        self._ledger.run(conversations.end_orphans)
        self._tell = tell
        self._memory = ChatMemory(
            conversations, model_settings, self._ledger, lambda error: tell(NotKept(error))
        )
        self._loaded: LoadedModel | None = None
        self._writer: StreamWriter | None = None
        self._shown = 0
        self._written_in = 0
        self._context_tokens: int | None = None
        self._stop_asked = False
        self.branch = Branch()
        self.conversation: Conversation | None = None
        self.writing_id: int | None = None
        self.waiting = False
        self.keeping = False
        self.context_use: ContextUse | None = None
        self.settings = ChatSettings()
        self._settings_are_own = False

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
        return not self.busy and self.branch.last_question is not None

    @property
    def can_switch_branch(self) -> bool:
        """Whether there is another branch beside the one shown, and nothing is being written."""
        return not self.busy and bool(self.branch.forks)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages of the branch shown, the oldest first."""
        return self.branch.messages

    # Asking.

    def submit(self, text: str, images: tuple[Image, ...] = ()) -> None:
        """Say ``text``, with ``images``, and have it answered; it waits when no model is loaded.

        What cannot be kept comes back with ``NotKept``; nothing has changed then.
        """
        self._say(text, images, self.branch)

    def resend(self, text: str) -> None:
        """Say ``text`` in place of the last question; the old one stays as another branch.

        The images of the old question are shown again.
        """
        before, question = self.branch, self.branch.last_question
        if question is not None and not self.busy:
            self.branch = before.before(question)
            self._tell(Changed())
            self._say(text, question.images, before)

    def count(self, text: str, images: tuple[Image, ...] = (), *, editing: bool) -> None:
        """Have the prompt counted that sending ``text`` with ``images`` would make now.

        An edited question shows its own images again, too.
        """
        branch, question = self.branch, self.branch.last_question
        if editing and question is not None:
            branch, images = branch.before(question), question.images
        if self._loaded is not None and (text or images) and not self.busy:
            prompt, sees = self.settings.system_prompt, self._loaded.sees_images
            told = branch.as_told(prompt, text, images, sees_images=sees)
            self._jobs.count(self._loaded, told, text)

    def _say(self, text: str, images: tuple[Image, ...], before: Branch) -> None:
        """Say ``text`` after what is shown now; show ``before`` again when it cannot be kept."""
        held, leaf, shown = self.conversation, self.branch.leaf, self._shown
        settings = self.settings
        self.keeping, self._stop_asked = True, False
        self._tell(Asked(text, self.branch.fork_to_be, images))

        def keep() -> tuple[Conversation, Message]:
            conversation = held or self._conversations.create(
                settings.system_prompt, settings.sampling
            )
            return conversation, self._conversations.say(conversation.id, leaf, text, images)

        def kept(result: tuple[Conversation, Message]) -> None:
            if shown != self._shown:
                return
            self.keeping = False
            self.conversation, message = result
            self.branch = self.branch.with_message(message)
            if settings != self.settings:  # the model's came in between
                self._take(self.settings)
                self._memory.keep(self.conversation, None, self.settings)
            if not self._stop_asked:
                self._answer_or_wait()

        def failed(error: ModeldeckError) -> None:
            self._not_kept(error, shown, before, text)

        self._ledger.keep(keep, kept, failed)

    def again(self) -> None:
        """Have the last question answered once more; the old answer stays as another branch."""
        before, question = self.branch, self.branch.last_question
        if question is None or self.busy:
            return
        self._stop_asked = False
        self.branch = before.up_to(question)
        self._tell(Changed())
        self._answer_or_wait(before)

    def _answer_or_wait(self, before: Branch | None = None) -> None:
        if self._loaded is None:
            self.waiting = True
            self._tell(ModelWanted())
        else:
            self._answer(self._loaded, before)

    def _answer(self, loaded: LoadedModel, before: Branch | None = None) -> None:
        if self.conversation is None:
            return
        self.waiting, self.keeping, self._settings_are_own = False, True, True
        conversation, leaf, shown = self.conversation.id, self.branch.leaf, self._shown
        name, engine = loaded.model.name, loaded.engine

        def begun(answer: Message) -> None:
            if shown != self._shown:
                self._finish(answer.id, None, Outcome("stopped"))
                return
            self.keeping = False
            fork = self.branch.fork_to_be
            self.branch = self.branch.with_message(answer)
            self.writing_id, self._written_in = answer.id, shown
            self._write(loaded, answer.id, fork)

        def failed(error: ModeldeckError) -> None:
            self._not_kept(error, shown, before)

        self._ledger.keep(
            lambda: self._conversations.begin_answer(conversation, leaf, name, engine),
            begun,
            failed,
        )

    def _write(self, loaded: LoadedModel, answer_id: int, fork: str) -> None:
        self._tell(Answering(answer_id, loaded.model.name, fork))
        if self._stop_asked:
            self._close_answer(answer_id, Outcome("stopped"), "", "")
            self._tell(Changed())
            return
        self._context_tokens = loaded.context_tokens
        self._writer = StreamWriter(self._conversations, answer_id)
        prompt, sees = self.settings.system_prompt, loaded.sees_images
        said = self.branch.as_told(prompt, sees_images=sees)
        request = ChatRequest(loaded.instance, said, self.settings.sampling)
        self._jobs.reply(answer_id, loaded.engine, request, self._writer)

    def _not_kept(
        self,
        error: ModeldeckError,
        shown: int,
        before: Branch | None = None,
        text: str = "",
    ) -> None:
        if shown == self._shown:
            self.keeping = False
            self.branch = before or self.branch
            self._tell(Changed())
        self._tell(NotKept(error, text))

    # The end of an answer.

    def ended(self, message_id: int, end: ReplyEnd) -> None:
        """Close the answer that ended."""
        if message_id != self.writing_id:
            return
        outcome = outcome_of(end, self._context_tokens)
        self._close_answer(message_id, outcome, end.text, end.reasoning)

    def _close_answer(self, message_id: int, outcome: Outcome, text: str, reasoning: str) -> None:
        self.writing_id = None
        writer, self._writer = self._writer, None
        usage = outcome.usage
        if self.branch.leaf == message_id:
            last = closed(self.messages[-1], outcome, text, reasoning)
            self.branch = self.branch.ending_with(last)
            if usage is None:
                self._weigh()
            else:
                tokens = usage.prompt_tokens + usage.completion_tokens
                self.context_use = ContextUse(tokens, True)
            if self._written_in != self._shown:
                self._tell(Changed())
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
        """Begin a new conversation, with what is set for the model."""
        self._leave()
        self._settings_are_own = False
        self.conversation = None
        self.branch = Branch()
        self.context_use = None
        self._tell(Changed())
        if self._loaded is not None:
            self._recall(self._loaded)

    def open(self, conversation_id: int) -> None:
        """Show a kept conversation, with its own system prompt and sampling.

        What cannot be read is told with ``NotKept``; what was shown stays.
        """
        shown = self._leave()

        def read() -> tuple[Conversation, Branch]:
            conversation = self._conversations.get(conversation_id)
            messages = self._conversations.branch(conversation.leaf)
            return conversation, Branch(messages, self._conversations.tree(conversation_id))

        def opened(found: tuple[Conversation, Branch]) -> None:
            if shown == self._shown:
                self.conversation, self.branch = found
                conversation = self.conversation
                self.settings = ChatSettings(conversation.system_prompt, conversation.sampling)
                self._settings_are_own = True
                self._show_branch()

        self._ledger.keep(read, opened, lambda error: self._tell(NotKept(error)))

    def next_branch(self) -> None:
        """Show the next branch, and go on from there; all of them come round."""
        conversation, tree = self.conversation, self.branch.tree
        leaf = tree.next_branch(self.branch.leaf)
        if conversation is None or leaf is None or self.busy:
            return
        shown = self._leave()

        def follow() -> Branch:
            self._conversations.follow(conversation.id, leaf)
            return Branch(self._conversations.branch(leaf), tree)

        def followed(branch: Branch) -> None:
            if shown == self._shown:
                self.branch = branch
                self._show_branch()

        self._ledger.keep(follow, followed, lambda error: self._tell(NotKept(error)))

    def _show_branch(self) -> None:
        self._weigh()
        self._tell(Changed())

    def _weigh(self) -> None:
        """See what the branch shown takes of the context: by memory now, then counted."""
        prompt, loaded, leaf = self.settings.system_prompt, self._loaded, self.branch.leaf
        self.context_use = use_by_memory(self.branch, prompt)
        if loaded is not None and leaf is not None:
            told = self.branch.as_told(prompt, sees_images=loaded.sees_images)
            self._jobs.weigh(loaded, told, leaf)

    def weighed(self, leaf: int, use: ContextUse) -> None:
        """Take the count of the conversation up to ``leaf``, unless it has gone on since."""
        if leaf == self.branch.leaf and not self.busy:
            self.context_use = use
            self._tell(Weighed())

    def _leave(self) -> int:
        """Show another conversation from now on: what was asked for this one comes too late."""
        self.stop()
        self.keeping = False
        self._shown += 1
        return self._shown

    # What it is held with.

    def configure(self, settings: ChatSettings) -> None:
        """Take ``settings`` for what is asked from now on, and for this model's next chats."""
        self._take(settings)
        self._settings_are_own = True
        model = self._loaded.model if self._loaded else None
        self._memory.keep(self.conversation, model, settings)

    def _take(self, settings: ChatSettings) -> None:
        self.settings = settings
        if self.conversation is not None:
            self.conversation = replace(
                self.conversation,
                system_prompt=settings.system_prompt,
                sampling=settings.sampling,
            )

    def _recall(self, loaded: LoadedModel) -> None:
        """A conversation without answers and settings of its own takes the model's."""
        shown = self._shown

        def recalled(settings: ChatSettings) -> None:
            if shown == self._shown and not self._settings_are_own:
                self._take(settings)
                self._settings_are_own = self.conversation is not None
                if self.conversation is not None:
                    self._memory.keep(self.conversation, None, settings)
                self._tell(Configured())
            self._answer_what_waits()

        self._memory.recall(loaded.model, recalled)

    # The model.

    def model_changed(self, loaded: LoadedModel | None) -> None:
        """Another model is loaded, or none; a question that waits is answered now."""
        self._loaded = loaded
        if not self.busy:
            self._weigh()
        if loaded is not None and not self._settings_are_own:
            self._recall(loaded)
        else:
            self._answer_what_waits()

    def _answer_what_waits(self) -> None:
        if self._loaded is not None and self.waiting:
            self._answer(self._loaded)

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
