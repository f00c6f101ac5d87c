"""Chat: the conversation, and beside it the speed it is written at, live."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.types import CSSPathType

from modeldeck.engines.images import image_line, looks_like_image
from modeldeck.engines.meter import IDLE, Reading
from modeldeck.engines.store.model_settings import ChatSettings
from modeldeck.tui import messages
from modeldeck.tui.actions import Action, Place, key_name
from modeldeck.tui.bindings import bindings_of
from modeldeck.tui.context_use import ContextUse
from modeldeck.tui.endings import CONTEXT_FULL
from modeldeck.tui.library import Library, saved_text
from modeldeck.tui.paths_typed import typed_path
from modeldeck.tui.screens.chat_content import no_sight, panel_of, picker_rows, title_of, turns_of
from modeldeck.tui.screens.place import PlaceScreen
from modeldeck.tui.state import DeckState
from modeldeck.tui.talk import Talk
from modeldeck.tui.talk_events import (
    Answering,
    Asked,
    Changed,
    Configured,
    ModelWanted,
    NotKept,
    Weighed,
)
from modeldeck.tui.widgets.answer import Answer
from modeldeck.tui.widgets.ask_bar import AskBar
from modeldeck.tui.widgets.chat_settings import ChatSettings as SettingsPanel
from modeldeck.tui.widgets.image_field import ImageField
from modeldeck.tui.widgets.line import Line
from modeldeck.tui.widgets.model_picker import ModelPicker
from modeldeck.tui.widgets.prompt import Prompt
from modeldeck.tui.widgets.throughput_panel import ThroughputPanel
from modeldeck.tui.widgets.transcript import Transcript

WIDE = 100
_PROMPT_KEYS = frozenset({"chat.send", "chat.newline", "chat.stop"})


class ChatScreen(PlaceScreen):
    """The conversation of ``Talk``, its prompt, and the throughput panel."""

    PLACE: ClassVar[Place] = "chat"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("chat", leave_out=_PROMPT_KEYS)
    CSS_PATH: ClassVar[CSSPathType | None] = ["place.tcss", "chat.tcss"]

    title_line = getters.query_one("#chat-title", Line)
    transcript = getters.query_one(Transcript)
    panel = getters.query_one(ThroughputPanel)
    ask_bar = getters.query_one(AskBar)
    prompt = getters.query_one(Prompt)

    def __init__(
        self,
        actions: tuple[Action, ...],
        state: DeckState,
        talk: Talk,
        library: Library,
        batch_ms: int,
    ) -> None:
        super().__init__(actions, state)
        self._talk = talk
        self._library = library
        self._batch_ms = batch_ms
        self._reading: Reading = IDLE
        self._answering_id: int | None = None

    def compose_body(self) -> ComposeResult:
        """Title, transcript beside the panel, prompt."""
        keys = {entry.id: entry.keys for entry in self._all_actions}
        yield Line(id="chat-title")
        with Horizontal(id="talk"):
            with Vertical(id="words"):
                yield Transcript(
                    interval_s=self._batch_ms / 1000, growth_rows=3 if self._batch_ms > 100 else 1
                )
            yield ThroughputPanel(id="panel")
        yield Vertical(id="inline")
        yield AskBar(
            id="ask",
            send_keys=keys["chat.send"],
            newline_keys=keys["chat.newline"],
            new_chat_key=key_name(self.key_of("chat.new")),
            context_key=key_name(self.key_of("models.context")),
        )

    def on_mount(self) -> None:
        """Show the conversation as it is; ready to type."""
        self.prompt.focus()
        self.post_message(messages.TalkTold(Changed()))

    def on_resize(self, event: Resize) -> None:
        """Below a hundred columns the panel folds to one line above the prompt."""
        narrow = event.size.width < WIDE
        if narrow != self.has_class("-narrow"):
            self.set_class(narrow, "-narrow")
            self.panel.set_class(narrow, "-line")
        self.panel.draw()

    # Showing.

    def show_state(self, state: DeckState, before: DeckState) -> None:
        """The title and the panel follow the model and the machine."""
        self._show_title()
        self._show_panel()
        self.show_keys()
        if state.loaded is not before.loaded:
            self.ask_bar.count_again()

    def _show_title(self) -> None:
        changed = self._talk.settings != ChatSettings()
        key = key_name(self.key_of("chat.switch"))
        self.title_line.show(title_of(self.state, key, settings_changed=changed))

    def _show_panel(self) -> None:
        state, reading = self.state, self._reading
        if state.loading is not None:
            reading = Reading(phase="load", phase_fraction=state.loading.progress.fraction)
        elif self._talk.waiting:
            reading = Reading(phase="queue")
        used = self._talk.context_use
        if self._talk.writing_id is not None and reading.prompt_tokens is not None:
            used = ContextUse(reading.prompt_tokens + (reading.completion_tokens or 0), True)
        self.panel.show(panel_of(state, reading, used))

    # What the talk and the jobs tell.

    @on(messages.TalkTold)
    async def _told(self, message: messages.TalkTold) -> None:
        match message.event:
            case Asked(text=text, fork=fork, images=images):
                await self.transcript.ask(text, fork, [image_line(image) for image in images])
            case Answering(message_id=message_id, model=model, fork=fork):
                self._reading, self._answering_id = IDLE, message_id
                await self.transcript.answer(model, fork)
            case NotKept(error=error, text=text):
                self.ask_bar.put_back(text)
                self.post_message(messages.NoticeGiven(error.cause, error.next_step, True))
            case Changed():
                await self._show_conversation()
            case Configured() | ModelWanted():
                self.ask_bar.count_again()
            case Weighed():
                pass  # only the panel shows it
        self._show_title()
        self._show_panel()
        self.show_keys()

    async def _show_conversation(self) -> None:
        self._reading, self._answering_id = IDLE, self._talk.writing_id
        await self.transcript.show(turns_of(self._talk.branch))
        self.ask_bar.count_again()

    def _answer_of(self, message_id: int) -> Answer | None:
        """The answer being written, unless another conversation is shown by now."""
        return self.transcript.last_answer if message_id == self._answering_id else None

    @on(messages.ReplyMoved)
    def _moved(self, message: messages.ReplyMoved) -> None:
        answer = self._answer_of(message.message_id)
        update = message.update
        if answer is not None:
            if update.reasoning:
                answer.append_reasoning(update.reasoning)
            answer.thought_so_far(update.reading.thought_ns, update.reading.thought_tokens)
            if update.text:
                answer.append(update.text)
        self._reading = update.reading
        self._show_panel()

    @on(messages.ReplyEnded)
    def _ended(self, message: messages.ReplyEnded) -> None:
        end = message.end
        self._reading = end.reading
        answer = self._answer_of(message.message_id)
        if answer is not None:
            answer.thought_so_far(end.reading.thought_ns, end.reading.thought_tokens)
            if end.error is not None:
                answer.fail(end.error.cause, end.error.next_step)
            else:
                note = next(
                    (m.error for m in reversed(self._talk.messages) if m.id == message.message_id),
                    "",
                )
                answer.finish("stopped" if end.reason == "cancelled" else note)
                if note == CONTEXT_FULL:
                    self._say_the_context_is_full()
        self._show_panel()
        self.show_keys()
        self.ask_bar.count_again()

    def _say_the_context_is_full(self) -> None:
        new, context = (key_name(self.key_of(a)) for a in ("chat.new", "models.context"))
        step = (
            f"{new} begins a new chat; {context} in Models sets a larger context for the next load."
        )
        self.post_message(messages.NoticeGiven("The context is full.", step))

    # The user.

    @on(Prompt.Submitted)
    def _submitted(self, event: Prompt.Submitted) -> None:
        if self._talk.busy:
            self.prompt.put(event.text)
            self.post_message(messages.NoticeGiven("An answer is being written.", "esc stops it."))
            return
        if self.ask_bar.holds_back(event.text):
            step = f"{key_name(self.key_of('chat.send'))} once more sends it all the same."
            self.post_message(messages.NoticeGiven("That does not fit into the context.", step))
            return
        if self.ask_bar.editing:
            self.ask_bar.stop_editing()
            self._talk.resend(event.text)
        else:
            self._talk.submit(event.text, self.ask_bar.take_images())
        self.show_keys()

    @on(AskBar.Drafted)
    def _drafted(self, event: AskBar.Drafted) -> None:
        self._talk.count(event.text, self.ask_bar.images, editing=self.ask_bar.editing)

    @on(messages.PromptCounted)
    def _counted(self, message: messages.PromptCounted) -> None:
        self.ask_bar.show_next(message.next_prompt)

    @on(Prompt.ScrollAsked)
    def _scroll(self, event: Prompt.ScrollAsked) -> None:
        self.transcript.scroll_by(event.where)

    def leave(self) -> bool:
        """``esc``: close what is open, stop the answer, then leave the prompt."""
        if self.query_one("#inline", Vertical).children:
            self._close_inline()
            return True
        if self._talk.can_stop:
            self._talk.stop()
            self._show_panel()
            self.show_keys()
            return True
        if self.ask_bar.editing:
            self.ask_bar.stop_editing()
            return True
        if self.ask_bar.images:
            self.ask_bar.detach()
            return True
        if self.in_text_field:
            self.transcript.focus()
            return True
        return False

    def action_chat_edit(self) -> None:
        """Bring the last question into the prompt; what was typed there waits."""
        question = self._talk.branch.last_question
        if question is not None and not self._talk.busy:
            self.ask_bar.edit(question.text)

    def action_chat_branch(self) -> None:
        """Show the next branch: all of them come round."""
        self._talk.next_branch()

    def is_valid(self, entry: Action) -> bool:
        """Only what makes sense now."""
        match entry.id:
            case "chat.stop":
                return self._talk.can_stop
            case "chat.send" | "chat.newline":
                return self.in_text_field
            case "chat.branch":
                return self._talk.can_switch_branch
            case "chat.again" | "chat.edit":
                return self._talk.can_ask_again
            case "chat.export":
                return self._talk.conversation is not None
            case "chat.copy":
                return bool(self._talk.branch.last_answer)
            case "chat.prompt":
                return not self.in_text_field
            case "chat.unload":
                return self.state.loaded is not None
            case "chat.retry":
                return self.state.retry is not None and self.state.loading is None
            case "chat.reasoning":
                answer = self.transcript.last_answer if self.ready else None
                return answer is not None and answer.has_reasoning
            case _:
                return True

    def way_to_retry(self) -> str:
        """The key is the chat's own."""
        return self.way_to("chat.retry")

    def _close_inline(self) -> None:
        self.query_one("#inline", Vertical).remove_children()
        self.prompt.focus()

    async def action_chat_switch(self) -> None:
        """Pick another model; the conversation stays."""
        if self.query(ModelPicker):
            self._close_inline()
            return
        loaded = self.state.loaded
        self._close_inline()
        picker = ModelPicker(picker_rows(self.state), current=loaded.model.id if loaded else "")
        await self.query_one("#inline", Vertical).mount(picker)
        self.show_keys()

    @on(ModelPicker.Picked)
    def _picked(self, event: ModelPicker.Picked) -> None:
        self._close_inline()
        self.post_message(messages.ChatAsked(event.key))

    @on(ModelPicker.Dismissed)
    @on(SettingsPanel.Closed)
    @on(ImageField.Dismissed)
    def _dismissed(self) -> None:
        self._close_inline()

    async def action_chat_settings(self) -> None:
        """System prompt and sampling."""
        if self.query(SettingsPanel):
            self._close_inline()
            return
        self._close_inline()
        loaded, settings = self.state.loaded, self._talk.settings
        panel = SettingsPanel(
            settings.system_prompt, settings.sampling, kept_for=loaded.model.name if loaded else ""
        )
        await self.query_one("#inline", Vertical).mount(panel)

    @on(SettingsPanel.Changed)
    def _configured(self, event: SettingsPanel.Changed) -> None:
        self._talk.configure(ChatSettings(event.system_prompt, event.sampling))
        self._show_title()
        self.ask_bar.count_again()

    def action_chat_again(self) -> None:
        """Ask the last question again."""
        if self._talk.can_ask_again:
            self._talk.again()

    def action_chat_retry(self) -> None:
        """Load again what ran out of memory, with settings that fit."""
        self.post_message(messages.RetryAsked())

    def action_chat_new(self) -> None:
        """Begin a new conversation."""
        self.ask_bar.stop_editing()
        self._talk.new()
        self.prompt.focus()

    def action_chat_reasoning(self) -> None:
        """Fold or unfold."""
        answer = self.transcript.last_answer
        if answer is not None:
            answer.toggle_reasoning()

    def action_chat_copy(self) -> None:
        """Copy the last answer."""
        if self._talk.branch.last_answer:
            self.post_message(messages.CopyAsked(self._talk.branch.last_answer, "the answer"))

    async def action_chat_image(self) -> None:
        """Ask for an image, when the model can see it."""
        if problem := no_sight(self.state):
            self._say(*problem)
        elif self.query(ImageField):
            self._close_inline()
        else:
            await self._ask_for_image()

    async def _ask_for_image(self, path: str = "") -> None:
        self._close_inline()
        await self.query_one("#inline", Vertical).mount(ImageField(path))

    @on(Prompt.Pasted)
    async def _pasted(self, event: Prompt.Pasted) -> None:
        path = typed_path(event.text)
        if path is None or no_sight(self.state):
            return
        if await asyncio.to_thread(looks_like_image, path):
            await self._ask_for_image(event.text.strip())

    @on(ImageField.Attached)
    def _attached(self, event: ImageField.Attached) -> None:
        self._close_inline()
        self.prompt.put(self.prompt.text.replace(event.typed, "", 1).strip())
        self.ask_bar.attach(event.image)

    def action_chat_conversations(self) -> None:
        """Look through what was said before."""
        self.post_message(messages.PlaceAsked("conversations"))

    def action_chat_export(self) -> None:
        """Write the conversation to files and say where they are."""
        conversation = self._talk.conversation
        if conversation is not None:
            self._library.export(
                conversation.id,
                lambda paths: self._say(saved_text(paths)),
                lambda error: self._say(error.cause, error.next_step, failure=True),
            )

    def _say(self, cause: str, next_step: str = "", *, failure: bool = False) -> None:
        self.post_message(messages.NoticeGiven(cause, next_step, failure))

    def action_chat_prompt(self) -> None:
        """Type again."""
        self.prompt.focus()

    def action_chat_unload(self) -> None:
        """Give the memory back."""
        self.post_message(messages.UnloadAsked())
