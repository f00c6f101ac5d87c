"""Counts what an app under test sends to its terminal, as a slow line would feel it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest
from textual.drivers.headless_driver import HeadlessDriver

from modeldeck.tui.thrift import shorter

_SYNC = ("\x1b[?2026h", "\x1b[?2026l")


class BytesSent:
    """Everything written since the last ``reset``."""

    def __init__(self) -> None:
        self.text = ""

    def reset(self) -> None:
        """Begin to count anew."""
        self.text = ""

    @property
    def count(self) -> int:
        """Bytes of screen content; marks of synchronised output are left out."""
        text = self.text
        for mark in _SYNC:
            text = text.replace(mark, "")
        return len(text.encode())


@contextmanager
def bytes_sent(monkeypatch: pytest.MonkeyPatch) -> Generator[BytesSent]:
    """Count the bytes of a truecolor terminal for apps started inside the block.

    They pass what the deck's own driver has before the terminal.
    """
    sent = BytesSent()

    def write(self: HeadlessDriver, data: str) -> None:
        sent.text += shorter(data)

    with monkeypatch.context() as patch:
        patch.setenv("COLORTERM", "truecolor")
        patch.setattr(HeadlessDriver, "is_headless", property(lambda self: False))
        patch.setattr(HeadlessDriver, "write", write)
        yield sent
