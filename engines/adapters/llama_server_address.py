"""Where a server of ours listens: a private Unix socket, or a loopback port."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

_SOCKET_PATH_LIMIT_BYTES = 100
_OWNER = re.compile(r"modeldeck-([0-9]{1,9})-")  # anybody may have named a directory in /tmp


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens: a Unix socket, or a loopback port when there can be none.

    Attributes:
        socket: path of the socket, or None.
        port: loopback port; unused with a socket.
    """

    socket: Path | None
    port: int = 0

    @property
    def host(self) -> str:
        """The value of ``--host``: llama.cpp takes a path that ends in ``.sock`` as a socket."""
        return str(self.socket) if self.socket else "127.0.0.1"


class SocketDirectory:
    """A fresh directory only we can enter, locked for as long as it is used.

    The lock tells a living deck from a killed one also where its process cannot be seen: in another
    container that shares the directory around it.
    """

    def __init__(self, base: Path) -> None:
        """Make it in ``base``. Raises OSError."""
        self.path = Path(tempfile.mkdtemp(prefix=f"modeldeck-{os.getpid()}-", dir=base))
        self._lock: int | None = _locked(self.path)

    def remove(self) -> None:
        """Remove it with all that is in it. Safe to call twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(directory: Path) -> int | None:
    """A descriptor with the lock on a directory, or None when another process has it.

    Where there are no locks everybody gets it. Raises OSError: it is no directory of ours.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(directory, flags)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        pass
    return descriptor


def sweep_stale_directories(base: Path) -> None:
    """Remove socket directories left behind by decks that were killed."""
    for directory in base.glob("modeldeck-*-*"):
        owner = _OWNER.match(directory.name)
        if owner is None or psutil.pid_exists(int(owner[1])):
            continue
        with contextlib.suppress(OSError):
            lock = _locked(directory)
            if lock is None:
                continue
            try:
                if directory.stat().st_uid == os.getuid():
                    shutil.rmtree(directory)
            finally:
                os.close(lock)


def new_address() -> tuple[Address, SocketDirectory | None]:
    """A Unix socket in a fresh directory only we can enter, else a free loopback port.

    Returns:
        The address, and the directory to remove afterwards.
    """
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108
        if not base:
            continue
        try:
            sweep_stale_directories(Path(base))
            directory = SocketDirectory(Path(base))
        except OSError:
            continue
        path = directory.path / "llama.sock"
        if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT_BYTES:
            return Address(path), directory
        directory.remove()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Address(None, probe.getsockname()[1]), None
