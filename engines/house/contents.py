"""Finds out what files hold: by what their names say, by their ends, by reading them through."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Final

from modeldeck.engines.house.duplicates import Content, same_sizes
from modeldeck.engines.house.manifests import BLOBS, digest_of_blob
from modeldeck.engines.house.stock import Entry, Stock
from modeldeck.engines.store.database import StoreError
from modeldeck.engines.store.digests import Digests, FileState
from modeldeck.engines.types import Source

_END_BYTES: Final = 64 << 10
_BLOCK_BYTES: Final = 1 << 20
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def named_digest(entry: Entry) -> str | None:
    """The digest that a store names a file by: Ollama's blobs, and those of LFS in the Hub's cache.

    A blob of the Hub with 40 digits is named by its git object, which says nothing here.
    """
    if entry.source is Source.OLLAMA:
        return digest_of_blob(entry.path)
    if entry.source is Source.HUGGING_FACE and entry.path.parent.name == BLOBS:
        return entry.path.name if _SHA256.fullmatch(entry.path.name) else None
    return None


def twins_in(
    stock: Stock,
    digests: Digests,
    on_read: Callable[[Entry], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    *,
    least_bytes: int | None = None,
) -> Iterator[Content]:
    """The files that another file has the content of, each with its digest.

    A file is read through only where its size and its ends are those of another one, and no store
    names its digest; once, as long as it does not change. What cannot be read is passed over.

    ``on_read`` is called before a file is read through. Files smaller than ``least_bytes``, which
    is ``duplicates.LEAST_BYTES`` unless given, are not looked at.
    """
    groups = same_sizes(stock) if least_bytes is None else same_sizes(stock, least_bytes)
    for group in groups:
        by_ends: dict[bytes, list[tuple[Entry, ...]]] = {}
        for names in group:
            with contextlib.suppress(OSError):
                by_ends.setdefault(ends_of(names[0].path), []).append(names)
        for alike in by_ends.values():
            if len(alike) > 1:
                for names in alike:
                    if should_stop():
                        return
                    with contextlib.suppress(OSError):
                        yield Content(names, _digest_of(names, digests, on_read))


def _digest_of(names: Sequence[Entry], digests: Digests, on_read: Callable[[Entry], None]) -> str:
    """SHA-256 of a physical file in hex. Raises OSError."""
    for entry in names:
        if (named := named_digest(entry)) is not None:
            return named
    for entry in names:
        with contextlib.suppress(StoreError):
            if (kept := digests.of(state_of(entry))) is not None:
                return kept
    entry = names[0]
    on_read(entry)
    digest = sha256_of(entry.path)
    status = entry.path.lstat()
    if (status.st_ino, status.st_mtime_ns) == (entry.inode, entry.mtime_ns):
        with contextlib.suppress(StoreError):
            digests.keep(state_of(entry), digest)
    return digest


def state_of(entry: Entry) -> FileState:
    """What the cache knows a file by."""
    return FileState(entry.path, entry.size_bytes, entry.mtime_ns, entry.device, entry.inode)


def ends_of(path: Path) -> bytes:
    """A digest of the first and the last 64 KiB. Raises OSError."""
    with open_file(path) as descriptor:
        size = os.fstat(descriptor).st_size
        first = os.pread(descriptor, _END_BYTES, 0)
        last = os.pread(descriptor, _END_BYTES, max(0, size - _END_BYTES))
    return hashlib.sha256(first + last).digest()


def sha256_of(path: Path) -> str:
    """The digest of a regular file in hex. Raises OSError."""
    digest = hashlib.sha256()
    with open_file(path) as descriptor:
        while block := os.read(descriptor, _BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def open_file(path: Path) -> Generator[int]:
    """A descriptor of a file that is no link and never waits for a writer. Raises OSError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def same_content(one: int, two: int) -> bool:
    """Whether two open files hold the same, read to the end. Raises OSError."""
    at = 0
    while True:
        first, second = os.pread(one, _BLOCK_BYTES, at), os.pread(two, _BLOCK_BYTES, at)
        if first != second:
            return False
        if not first:
            return True
        at += len(first)
