"""What any app of ours owes the terminal it is shown in, which may be far away."""

from __future__ import annotations

import os

from textual.app import App
from textual.driver import Driver
from textual.filter import LineFilter

from modeldeck.engines.text import clean_line
from modeldeck.tui import messages
from modeldeck.tui.clipboard import clipboard_sequences
from modeldeck.tui.filters import ControlFilter


class TerminalApp(App[int]):
    """Sends little, nothing that drives the terminal, and starts nothing on this machine."""

    def get_driver_class(self) -> type[Driver]:
        """The thrifty driver, unless the environment names another."""
        from modeldeck.tui.driver import thrifty

        return thrifty(super().get_driver_class())

    def get_line_filters(self) -> list[LineFilter]:
        """Textual's own filters, then the one that lets no control character out."""
        return [*super().get_line_filters(), ControlFilter()]

    def copy_to_clipboard(self, text: str) -> None:
        """Hand ``text`` to the terminal in the way that what lies between takes it."""
        self._clipboard = text
        if self._driver is not None and (sent := clipboard_sequences(text, os.environ)):
            self._driver.write(sent)

    @property
    def waiting_writes(self) -> int:
        """How much of what was drawn the terminal has not taken yet, in writes."""
        return getattr(self._driver, "waiting_writes", 0)

    def open_url(self, url: str, *, new_tab: bool = True) -> None:
        """Show the address: a browser would open on the server, where nobody sits."""
        address = clean_line(url, 500)
        self.post_message(messages.NoticeGiven(f"The link leads to {address}", "", False))
