"""Digests of files: SHA-256 as registries name them, git's SHA-1 for the Hub's small ones."""

from __future__ import annotations

import hashlib
import os
import re
import time
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from modeldeck.engines.units import MIB

_BLOCK_BYTES: Final = 1 * MIB
_SHA256: Final = re.compile(r"(?:sha256[:-])?([0-9a-f]{64})")
_GIT: Final = re.compile(r"[0-9a-f]{40}")


class Hasher(Protocol):
    """What a content is fed to."""

    def update(self, data: bytes, /) -> None:
        """Take more of it."""

    def hexdigest(self) -> str:
        """Of all that was taken."""
        ...


@dataclass(frozen=True, slots=True)
class Digest:
    """What a content is to be.

    Attributes:
        kind: ``sha256``, or ``git``: SHA-1 over ``blob SIZE`` and the content.
        hex: empty where nobody says.
    """

    kind: Literal["sha256", "git"] = "sha256"
    hex: str = ""

    def hasher(self, size_bytes: int) -> Hasher:
        """Something to feed the content of a file of that size to."""
        if self.kind == "git":
            return hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)
        return hashlib.sha256()


def digest_of(sha256: str, state: str) -> Digest:
    """What is known of a content: its SHA-256, else what its state says when that is a digest."""
    if found := _SHA256.fullmatch(sha256) or _SHA256.fullmatch(state):
        return Digest("sha256", found[1])
    return Digest("git", state) if _GIT.fullmatch(state) else Digest()


class Follower:
    """Hashes a file that is still being written, as far as it has no gap.

    Attributes:
        at: bytes that are in the digest.
    """

    def __init__(self, file: int, size_bytes: int, expected: Digest) -> None:
        self.at = 0
        self._file = file
        self._size_bytes = size_bytes
        self._hashed = expected.hasher(size_bytes)

    def follow(self, until: int, seconds: float) -> None:
        """Go on up to ``until``, for about so long. Raises OSError."""
        enough = time.monotonic() + seconds
        while self.at < until:
            block = os.pread(self._file, min(_BLOCK_BYTES, until - self.at), self.at)
            if not block:
                raise OSError("the part file is shorter than its journal says")
            self._hashed.update(block)
            self.at += len(block)
            if time.monotonic() >= enough:
                return

    def hexdigest(self) -> str:
        """Of what was followed."""
        return self._hashed.hexdigest()
