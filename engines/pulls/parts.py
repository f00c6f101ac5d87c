"""The parts of one file: which bytes are here, which are under way, how far the first gap is.

Parts keep parallel connections apart, and are what is fetched again at most after a crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from modeldeck.engines.units import MIB

_SMALLEST: Final = 8 * MIB
_LARGEST: Final = 64 * MIB
_WANTED: Final = 16


def part_bytes_for(size_bytes: int) -> int:
    """Bytes of each part but the last: some sixteen parts, none tiny, none huge."""
    even = -(-size_bytes // _WANTED)
    return max(_SMALLEST, min(_LARGEST, -(-even // MIB) * MIB))


class Parts:
    """Which bytes of a file are here. Not for several threads without a lock.

    Attributes:
        size_bytes: of the file.
        part_bytes: of each part but the last.
    """

    def __init__(self, size_bytes: int, part_bytes: int, done: Mapping[int, int]) -> None:
        """Begin with what is here already.

        Args:
            size_bytes: of the file.
            part_bytes: of each part but the last; at least 1.
            done: bytes from its start for each part that has some; nonsense counts as nothing.
        """
        self.size_bytes = size_bytes
        self.part_bytes = part_bytes
        self._done = [0] * -(-size_bytes // part_bytes)
        for part, count in done.items():
            if 0 <= part < len(self._done) and 0 < count <= self.length(part):
                self._done[part] = count
        self._taken: set[int] = set()
        self._full = 0
        self._count = sum(self._done)
        self._follow()

    @property
    def done_bytes(self) -> int:
        """All that is here."""
        return self._count

    @property
    def complete(self) -> bool:
        """Nothing is missing."""
        return self._count == self.size_bytes

    @property
    def frontier(self) -> int:
        """Bytes from the start of the file without a gap."""
        if self._full == len(self._done):
            return self.size_bytes
        return self._full * self.part_bytes + self._done[self._full]

    def start(self, part: int) -> int:
        """Where a part begins in the file."""
        return part * self.part_bytes

    def length(self, part: int) -> int:
        """Bytes of a part."""
        return min(self.part_bytes, self.size_bytes - self.start(part))

    def done(self, part: int) -> int:
        """Bytes of a part that are here, from its start."""
        return self._done[part]

    def take(self) -> int | None:
        """The first part that misses something and that nobody has taken; None without one."""
        for part in range(self._full, len(self._done)):
            if part not in self._taken and self._done[part] < self.length(part):
                self._taken.add(part)
                return part
        return None

    def give_back(self, part: int) -> None:
        """A part is no longer under way, finished or not."""
        self._taken.discard(part)

    def add(self, part: int, count: int) -> None:
        """So many bytes more of a part are here."""
        self._done[part] += count
        self._count += count
        self._follow()

    def snapshot(self) -> dict[int, int]:
        """Bytes from its start for each part that has some."""
        return {part: count for part, count in enumerate(self._done) if count}

    def _follow(self) -> None:
        while self._full < len(self._done) and self._done[self._full] == self.length(self._full):
            self._full += 1
