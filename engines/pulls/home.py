"""Where the process that owns pulls keeps its queue, log and socket, for this user alone."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from modeldeck.engines.paths import data_dir, private_dir
from modeldeck.engines.pulls.errors import PullError

_MOST_SOCKET_PATH: Final = 100
_MOST_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that owns pulls now.

    Attributes:
        pid: its number.
        socket: where it listens.
        version: of modeldeck.
    """

    pid: int
    socket: Path
    version: str


class PullsHome:
    """The folder of the process that owns pulls.

    Attributes:
        folder: private.
        queue: the kept queue.
        log: what it did.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """``$XDG_DATA_HOME/modeldeck/pulls`` unless another is given; made where it is not.

        Raises:
            PullError: it cannot be made.
        """
        try:
            self.folder = private_dir(folder or private_dir(data_dir()) / "pulls")
        except OSError as error:
            raise PullError(
                f"The folder of the downloads cannot be made ({error.strerror}).",
                "Look at the permissions of ~/.local/share.",
            ) from error
        self.queue = self.folder / "queue.json"
        self.log = self.folder / "log"
        self._lock = self.folder / "owner"

    def socket(self) -> Path:
        """Where a new owner is to listen, in a folder only this user can enter. Raises OSError."""
        wanted = self.folder / "socket"
        if len(os.fsencode(wanted)) <= _MOST_SOCKET_PATH:
            return wanted
        import hashlib  # with OpenSSL: 4 ms
        import tempfile  # 5 ms

        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        short = Path(tempfile.gettempdir()) / f"modeldeck-{os.getuid()}-{name}"
        short.mkdir(mode=0o700, exist_ok=True)
        if not is_private(short):
            raise PermissionError(f"{short} belongs to somebody else")
        return short / "socket"

    def own(self) -> int | None:
        """Become the owner for as long as the descriptor is open; None when somebody is it."""
        lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return None
        return lock

    def say(self, lock: int, owner: Owner) -> None:
        """Write down who owns pulls. Raises OSError."""
        fields = {"pid": owner.pid, "socket": str(owner.socket), "version": owner.version}
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps(fields).encode(), 0)

    def owner(self) -> Owner | None:
        """Who owns pulls; None when nobody does."""
        try:
            lock = os.open(self._lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            if _is_free(lock):
                return None
            fields: Any = json.loads(os.pread(lock, _MOST_BYTES, 0))
            return Owner(int(fields["pid"]), Path(fields["socket"]), str(fields["version"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        finally:
            os.close(lock)


def _is_free(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_private(folder: Path) -> bool:
    """The folder is this user's, and nobody else can enter it."""
    there = folder.lstat()
    mine = there.st_uid == os.getuid() and stat.S_ISDIR(there.st_mode)
    return mine and not stat.S_IMODE(there.st_mode) & 0o077
