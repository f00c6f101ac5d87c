"""Bytes at an offset: what a header reader needs of a file, wherever the file is."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from modeldeck.engines.errors import FormatError


class ByteSource(Protocol):
    """Something that can be read at an offset."""

    @property
    def size_bytes(self) -> int:
        """Length of the whole."""
        ...

    def read_at(self, offset: int, count: int, needed: int | None = None) -> bytes:
        """Up to ``count`` bytes from ``offset``; fewer than ``needed`` only at the end.

        Args:
            offset: from the start.
            count: what a reader has room for.
            needed: what it cannot do without, all of it unless said: a source where each byte
                costs something need not give more.

        Raises:
            OSError: reading failed.
        """
        ...


class FileSource:
    """An open regular file."""

    def __init__(self, descriptor: int, status: os.stat_result) -> None:
        self._descriptor = descriptor
        self.status = status

    @property
    def size_bytes(self) -> int:
        """Length when it was opened."""
        return self.status.st_size

    def read_at(self, offset: int, count: int, needed: int | None = None) -> bytes:
        """Up to ``count`` bytes from ``offset``, whatever is needed of them."""
        return os.pread(self._descriptor, count, offset)


@contextmanager
def open_regular(path: Path) -> Generator[FileSource]:
    """Open ``path`` for reading if, and only if, it is a regular file.

    A FIFO or a device never blocks and is never read.

    Raises:
        FormatError: it is no regular file.
        OSError: it cannot be opened.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    if not stat.S_ISREG(path.stat().st_mode):
        raise _not_regular()
    descriptor = os.open(path, flags)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _not_regular()
        yield FileSource(descriptor, status)
    finally:
        os.close(descriptor)


def _not_regular() -> FormatError:
    return FormatError(
        "It is no regular file, so it is not opened.", "Name a file instead of a pipe or a device."
    )
