"""Who is told how a transfer comes along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """What a transfer says of itself while it runs.

    Attributes:
        progress: bytes that are here, and of how many; None where that is not known.
        note: something happened, in a sentence.
        verifying: all has come; so many bytes of it are compared with its digest.
    """

    progress: Callable[[int, int | None], None]
    note: Callable[[str], None]
    verifying: Callable[[int], None]
