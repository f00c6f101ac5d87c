"""Screens that lie over a place for a moment: the keys that work now, and the engine's log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from modeldeck.engines.doctor.types import Finding, Severity
from modeldeck.tui.widgets.line import Line

if TYPE_CHECKING:
    from modeldeck.engines.hardware.types import HardwareSnapshot

_STYLES: Final = {
    Severity.ERROR: "bold $text-error",
    Severity.WARNING: "bold $text-warning",
    Severity.ADVICE: "bold",
}


class TextOverlay(Screen[None]):
    """A title, lines of text to scroll, and one way out."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,l,d", "dismiss_overlay", "close", show=False),
    ]
    DEFAULT_CSS = """
    TextOverlay { background: $background; }
    TextOverlay #title { background: $surface; text-style: bold; }
    TextOverlay #close { background: $surface; color: $foreground-muted; }
    TextOverlay VerticalScroll { height: 1fr; padding: 1 1 0 1; }
    TextOverlay Static { height: auto; }
    """

    def __init__(self, title: str, lines: Iterable[Content], *, at_end: bool = False) -> None:
        super().__init__()
        self._title = title
        self._lines = tuple(lines)
        self._at_end = at_end

    def compose(self) -> ComposeResult:
        """Title, text, the key that closes."""
        yield Line(Content(f" {self._title}"), id="title")
        with VerticalScroll():
            yield from self.compose_text()
        yield Line(Content(" esc close   up down scroll"), id="close")

    def compose_text(self) -> ComposeResult:
        """What there is to read."""
        yield Static(Content("\n").join(self._lines), markup=False)

    def on_mount(self) -> None:
        """Keys scroll at once; a log begins at its newest line."""
        scroll = self.query_one(VerticalScroll)
        scroll.focus()
        if self._at_end:
            scroll.scroll_end(animate=False)

    def action_dismiss_overlay(self) -> None:
        """Go back to where we were."""
        self.dismiss()


class FindingsOverlay(TextOverlay):
    """What the doctor found: severity in words, the cause, and what to do, set in below it.

    The machine as it is now follows, card by card.
    """

    DEFAULT_CSS = """
    FindingsOverlay .next { padding-left: 4; margin-bottom: 1; }
    """

    def __init__(
        self, findings: Sequence[Finding], summary: str, machine: HardwareSnapshot | None
    ) -> None:
        super().__init__("What is wrong with this machine", (Content(summary), Content()))
        self._findings = findings
        self._machine = machine

    def compose_text(self) -> ComposeResult:
        """The summary, then each finding, then the machine."""
        from modeldeck.tui.examination import rounds
        from modeldeck.tui.gpu_text import machine_lines

        yield from super().compose_text()
        for finding, (cause, next_step) in zip(self._findings, rounds(self._findings), strict=True):
            yield Static(Content.styled(cause, _STYLES[finding.severity]))
            yield Static(Content(next_step.strip()), classes="next")
        if self._machine is not None:
            yield Static(Content("\n".join(machine_lines(self._machine))))
