"""Where the user writes: the prompt, what it is for now, and what to know before sending."""

from __future__ import annotations

from collections.abc import Iterable

from textual import getters
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content

from modeldeck.tui.widgets.line import Line
from modeldeck.tui.widgets.prompt import Prompt

_MARK = Content.styled(" › ", "bold $primary")
_EDIT_MARK = Content.styled(" edit › ", "bold $warning")


class AskBar(Vertical):
    """The prompt with a line above it when there is something to know before sending.

    While a question is edited the prompt holds it, and what was typed before waits.
    """

    DEFAULT_CSS = """
    AskBar {
        height: auto;
        border-top: solid $foreground 25%;
        & > #ask-note { display: none; }
        &.-note > #ask-note { display: block; }
        & > Horizontal { height: auto; max-height: 6; }
        & #ask-mark { width: 3; }
        &.-editing #ask-mark { width: 8; }
    }
    """

    prompt = getters.query_one(Prompt)
    note = getters.query_one("#ask-note", Line)
    mark = getters.query_one("#ask-mark", Line)

    def __init__(
        self,
        *,
        send_keys: Iterable[str],
        newline_keys: Iterable[str],
        id: str | None = None,  # noqa: A002
    ) -> None:
        """Make an empty bar; the keys are the prompt's."""
        super().__init__(id=id)
        self._send_keys = tuple(send_keys)
        self._newline_keys = tuple(newline_keys)
        self._draft: str | None = None

    def compose(self) -> ComposeResult:
        """The note above, mark and prompt below."""
        yield Line(id="ask-note")
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
        if draft is not None:
            self.prompt.put(draft)
            self._show()

    def put_back(self, text: str) -> None:
        """Give the user ``text`` back, above what is typed by now."""
        if text:
            self.prompt.put("\n".join(filter(None, (text, self.prompt.text))))

    def _show(self) -> None:
        editing = self.editing
        self.mark.show(_EDIT_MARK if editing else _MARK)
        self.note.show(
            Content.assemble(
                (" editing the last question", "bold $warning"),
                ("   esc", "bold $primary"),
                (" gives it up   ", "$text-muted"),
                ("sending it begins another branch", "$text-muted"),
            )
            if editing
            else Content()
        )
        self.set_class(editing, "-editing")
        self.set_class(editing, "-note")
