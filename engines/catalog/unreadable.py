"""What a scan passed over because this user may not read it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from modeldeck.engines.paths import home_relative
from modeldeck.engines.text import clean_line

_MOST_NAMED: Final = 3


class Unreadable:
    """Folders that could not be read: all of them counted, the first few by name.

    Attributes:
        count: how many there were.
        first: the first of them.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Path] = []

    def add(self, path: Path) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < _MOST_NAMED:
            self.first.append(path)

    def __str__(self) -> str:
        """``2 folders (~/models/a, /srv/b)``, ``7 folders (a, b, c and 4 more)``."""
        named = ", ".join(clean_line(home_relative(path), 200) for path in self.first)
        more = self.count - len(self.first)
        rest = f" and {more} more" if more else ""
        return f"{self.count} folder{'' if self.count == 1 else 's'} ({named}{rest})"
