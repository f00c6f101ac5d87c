"""Screens that lie over a place for a moment: the keys that work now, and the engine's log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from modeldeck.engines.doctor.types import Finding, Severity
from modeldeck.tui.widgets.line import Line

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
    CSS = """
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
            yield Static(Content("\n").join(self._lines), markup=False)
        yield Line(Content(" esc close   up down scroll"), id="close")

    def on_mount(self) -> None:
        """Keys scroll at once; a log begins at its newest line."""
        scroll = self.query_one(VerticalScroll)
        scroll.focus()
        if self._at_end:
            scroll.scroll_end(animate=False)

    def action_dismiss_overlay(self) -> None:
        """Go back to where we were."""
        self.dismiss()


def findings_overlay(findings: Sequence[Finding], summary: str) -> TextOverlay:
    """What the doctor found: severity in words, the cause, and what to do."""
    lines = _finding_lines(findings, summary)
    return TextOverlay("What is wrong with this machine", lines)


def _finding_lines(findings: Sequence[Finding], summary: str) -> Iterator[Content]:
    from modeldeck.tui.examination import rounds

    yield Content(summary)
    for finding, (cause, next_step) in zip(findings, rounds(findings), strict=True):
        yield Content()
        yield Content.styled(cause, _STYLES[finding.severity])
        yield Content(next_step)
