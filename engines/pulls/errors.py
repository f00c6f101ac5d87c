"""What can end a pull, each with what to do."""

from __future__ import annotations

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import MIB


class PullError(ModeldeckError):
    """A pull cannot go on."""


class Stopped(PullError):
    """Somebody asked the pull to stop; what has come is kept."""

    def __init__(self) -> None:
        super().__init__("The download was stopped.", "Resume it when you like: nothing is lost.")


class DiskFull(PullError):
    """There is no room; what has come is kept.

    Attributes:
        missing_bytes: that have to be freed first.
    """

    def __init__(self, folder: str, missing_bytes: int) -> None:
        needed = f"{-(-missing_bytes // MIB):,} MiB more are needed"
        super().__init__(
            f"The disk of {clean_line(folder, 120)} is full: {needed}.",
            "Free that much and resume: what has come is kept.",
        )
        self.missing_bytes = missing_bytes


class Damaged(PullError):
    """What came is not what the registry says it is."""


class Busy(PullError):
    """Another process has the file under way."""
