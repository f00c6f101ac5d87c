"""Where the user writes: the prompt, what it is for now, and what to know before sending."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from textual import getters, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import TextArea

from modeldeck.engines.chat import Image
from modeldeck.engines.images import image_line
from modeldeck.tui.next_prompt import NextPrompt
from modeldeck.tui.widgets.line import Line
from modeldeck.tui.widgets.prompt import Prompt

PAUSE_S: Final = 0.25
"""Typing is over for now when no key came for so long."""
_MARK = Content.styled(" › ", "bold $primary")
_EDIT_MARK = Content.styled(" edit › ", "bold $warning")
_EDIT_NOTE = Content.assemble(
    (" editing the last question", "bold $warning"),
    ("   esc", "bold $primary"),
    (" gives it up   ", "$text-muted"),
    ("sending it begins another branch", "$text-muted"),
)


class AskBar(Vertical):
    """The prompt with a line above it when there is something to know before sending.

    While a question is edited the prompt holds it, and what was typed before waits.
    """

    DEFAULT_CSS = """
    AskBar {
        height: auto;
        border-top: solid $foreground 25%;
        border-title-align: right;
        & > #ask-note, & > #ask-images { display: none; }
        &.-note > #ask-note, &.-images > #ask-images { display: block; }
        & > Horizontal { height: auto; max-height: 6; }
        & #ask-mark { width: 3; }
        &.-editing #ask-mark { width: 8; }
    }
    """

    @dataclass
    class Drafted(Message):
        """The message in the prompt has changed, and typing rests."""

        text: str

    prompt = getters.query_one(Prompt)
    note = getters.query_one("#ask-note", Line)
    mark = getters.query_one("#ask-mark", Line)

    def __init__(
        self,
        *,
        send_keys: Iterable[str],
        newline_keys: Iterable[str],
        new_chat_key: str = "",
        context_key: str = "",
        id: str | None = None,  # noqa: A002
    ) -> None:
        """Make an empty bar.

        Args:
            send_keys: the prompt's.
            newline_keys: the prompt's.
            new_chat_key: what begins a new chat, for advice.
            context_key: what sets a larger context in Models, for advice.
            id: of the widget.
        """
        super().__init__(id=id)
        self._advice_keys = new_chat_key, context_key
        self._next: NextPrompt | None = None
        self._newest: NextPrompt | None = None
        self._warned = ""
        self._pause: Timer | None = None
        self._send_keys = tuple(send_keys)
        self._newline_keys = tuple(newline_keys)
        self._draft: str | None = None
        self._sent: tuple[Image, ...] = ()
        self.images: tuple[Image, ...] = ()

    def compose(self) -> ComposeResult:
        """The note above, mark and prompt below."""
        yield Line(id="ask-note")
        yield Line(id="ask-images")
        with Horizontal():
            yield Line(_MARK, id="ask-mark")
            yield Prompt(
                id="prompt",
                send_keys=self._send_keys,
                newline_keys=self._newline_keys,
                placeholder="Ask something",
            )

    @property
    def editing(self) -> bool:
        """Whether the prompt holds a question that was sent before."""
        return self._draft is not None

    def edit(self, question: str) -> None:
        """Bring ``question`` into the prompt."""
        if self._draft is None:
            self._draft = self.prompt.text
        self.prompt.put(question)
        self.prompt.focus()
        self._show()

    def stop_editing(self) -> None:
        """Leave the question; what was typed before it comes back."""
        draft, self._draft = self._draft, None
        self._sent = ()
        if draft is not None:
            self.prompt.put(draft)
            self._show()

    def put_back(self, text: str) -> None:
        """Give back what was sent last: ``text``, above what is typed by now, and its images."""
        if text:
            self.attach(*self._sent)
            self._sent = ()
            self._put_before(text)

    def _put_before(self, text: str) -> None:
        self.prompt.put("\n".join(filter(None, (text, self.prompt.text))))

    # Images of the next message.

    def attach(self, *images: Image) -> None:
        """Show these images, too, with the next message."""
        self._hold((*self.images, *images))

    def detach(self) -> None:
        """Take the image attached last away again."""
        self._hold(self.images[:-1])

    def take_images(self) -> tuple[Image, ...]:
        """The attached images, which are sent now."""
        self._sent = self.images
        self._hold(())
        return self._sent

    def _hold(self, images: tuple[Image, ...]) -> None:
        if images == self.images:
            return
        self.images = images
        lines = "   ".join(image_line(image) for image in images)
        removes = ("   esc removes", "$text-muted")
        self.query_one("#ask-images", Line).show(Content.assemble(f" {lines}", removes))
        self.set_class(bool(images), "-images")
        self.count_again()

    # What the next prompt will take.

    @on(TextArea.Changed)
    def _typed(self, event: TextArea.Changed) -> None:
        event.stop()
        self._count_soon()

    def count_again(self) -> None:
        """What stands before the prompt, or the model, is another now: count anew."""
        self._newest, self._warned = None, ""
        self._count_soon()

    def _count_soon(self) -> None:
        if self._pause is not None:
            self._pause.stop()
        if self.prompt.message or self.images:
            self._pause = self.set_timer(PAUSE_S, self._rest)
        else:
            self.show_next(None)

    def _rest(self) -> None:
        self.post_message(self.Drafted(self.prompt.message))

    def show_next(self, found: NextPrompt | None) -> None:
        """Show what the next prompt takes; one counted for another text is too late."""
        if found is not None and found.text != self.prompt.message:
            return
        self._next = found
        self._newest = found or self._newest
        self.border_title = Content(" ") + found.meter + " " if found is not None else None
        self._show()

    def holds_back(self, text: str) -> bool:
        """Whether ``text`` is known not to fit and the user has not insisted: it is put back.

        Sending the same again insists.
        """
        found = self._newest
        if found is None or found.fits or found.text != text or self._warned == text:
            return False
        self._warned = text
        self._put_before(text)
        return True

    def _show(self) -> None:
        editing, found = self.editing, self._next
        self.mark.show(_EDIT_MARK if editing else _MARK)
        note = _EDIT_NOTE if editing else Content()
        if found is not None and not found.fits:
            note = found.advice(*self._advice_keys)
        self.note.show(note)
        self.set_class(editing, "-editing")
        self.set_class(bool(note.plain), "-note")
