"""The deck's way to the terminal: Textual's, with fewer bytes."""

from __future__ import annotations

from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver

from modeldeck.tui.thrift import shorter


class ThriftyDriver(LinuxDriver):
    """Says of a change of style only what changes."""

    @property
    def waiting_writes(self) -> int:
        """How many writes the terminal has not taken yet."""
        thread = self._writer_thread
        return thread._queue.qsize() if thread else 0  # pyright: ignore[reportPrivateUsage]

    def write(self, data: str) -> None:
        """Write to the terminal."""
        super().write(shorter(data))


def thrifty(chosen: type[Driver]) -> type[Driver]:
    """The thrifty driver in place of the usual one; another one that was chosen stays."""
    return ThriftyDriver if chosen is LinuxDriver else chosen
