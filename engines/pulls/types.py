"""The records of a pull: what is wanted, where it goes, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Layout(StrEnum):
    """How the files of a pull are laid out where they end up.

    With ``ollama`` an Ollama that runs fetches and keeps the model itself; ``ollama-store`` is its
    store, written without it.
    """

    HUB_CACHE = "hub-cache"
    FOLDER = "folder"
    OLLAMA_STORE = "ollama-store"
    OLLAMA_SERVICE = "ollama"


class PullState(StrEnum):
    """Where a pull stands.

    ``waiting`` is a pause that ends by itself: after a failure, for the night window, or for a
    server that asked for patience. The last three are final.
    """

    QUEUED = "queued"
    RUNNING = "running"
    VERIFYING = "verifying"
    PLACING = "placing"
    PAUSED = "paused"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Nothing happens to the pull any more, unless it is asked for again."""
        return self in (PullState.DONE, PullState.FAILED, PullState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a pull goes.

    Attributes:
        layout: of what is put there.
        folder: the root of the store, or the plain folder.
    """

    layout: Layout
    folder: Path


@dataclass(frozen=True, slots=True)
class WantedFile:
    """One file of a pull.

    Attributes:
        name: its path in the repository, ``/`` between parts; sound: relative, nothing hidden
            behind ``..``, no control characters.
        url: where it is.
        size_bytes: None where the server does not say before the transfer.
        sha256: of its content, in lower-case hex; empty where nobody says.
        state: what tells it from a later one (LFS oid, blob digest, git oid or etag); empty where
            the server does not say.
    """

    name: str
    url: str
    size_bytes: int | None
    sha256: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that one pull brings: the parts of a split model and its projector are one.

    Attributes:
        target: that names it exactly, as ``modeldeck fit`` takes it.
        title: for people.
        repository: ``owner/name``, or the name in a registry; empty for an address.
        revision: branch or tag asked for; empty for an address.
        commit: the revision as the server pins it; empty where it does not.
        files: in the order they are fetched.
        destination: where they go.
        manifest: of Ollama's registry, as it came; empty where none is kept.
    """

    target: str
    title: str
    repository: str
    revision: str
    commit: str
    files: tuple[WantedFile, ...]
    destination: Destination
    manifest: bytes = b""

    @property
    def size_bytes(self) -> int | None:
        """Of all files; None where one of them is unknown."""
        sizes = [file.size_bytes for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


@dataclass(frozen=True, slots=True)
class FileProgress:
    """How far one file has come.

    Attributes:
        name: as in ``WantedFile``.
        done_bytes: that are safe in the part file; never less than before.
        total_bytes: None while the server has not said.
        verified_bytes: that were compared with the digest since all of it is here.
    """

    name: str
    done_bytes: int
    total_bytes: int | None
    verified_bytes: int = 0

    @property
    def verified_percent(self) -> int | None:
        """How far the comparison is; None before it begins and when it is over."""
        if not self.total_bytes or not 0 < self.verified_bytes < self.total_bytes:
            return None
        return 100 * self.verified_bytes // self.total_bytes


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull has come, as it is shown and sent to those who watch.

    Attributes:
        id: of the pull, unique for this user.
        target: as in ``Wanted``.
        title: for people.
        state: where it stands.
        priority: higher ones run first; 0 unless changed.
        files: one for each file.
        done_bytes: of all files; never less than before.
        total_bytes: None while a file's size is unknown.
        bytes_per_second: over the last seconds; None while nothing moves.
        seconds_left: at that rate; None where it cannot be told.
        note: why it waits or what it does, for people; empty when the state says it all.
        problem: what went wrong, empty unless it failed or waits to be tried again.
        next_step: what to do about it.
        retry_at: when a waiting pull goes on, in seconds since 1970; None when it does not wait.
        asked_at: when it was asked for, in seconds since 1970.
        ended_at: when it became final, in seconds since 1970; None before.
        placed: the paths of what was put in place; empty before.
    """

    id: str
    target: str
    title: str
    state: PullState
    priority: int
    files: tuple[FileProgress, ...]
    done_bytes: int
    total_bytes: int | None
    bytes_per_second: float | None = None
    seconds_left: float | None = None
    note: str = ""
    problem: str = ""
    next_step: str = ""
    retry_at: float | None = None
    asked_at: float = 0.0
    ended_at: float | None = None
    placed: tuple[str, ...] = ()
