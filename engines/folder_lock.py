"""One process at a time: a lock on a folder that goes with the process, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final

_POLL_SECONDS: Final = 0.02


@contextlib.contextmanager
def one_at_a_time(folder: Path, seconds: float) -> Generator[None]:
    """Keep every other process, and thread, that asks for ``folder`` out while the block runs.

    On a file system without locks nobody is kept out.

    Args:
        folder: what is shared; the lock is on the folder itself, so no file is left behind.
        seconds: how long to wait for the others.

    Raises:
        BlockingIOError: the others took longer.
        OSError: there is no such folder.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        give_up = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(_POLL_SECONDS)
            except OSError:
                break  # a file system without locks
        yield
    finally:
        os.close(descriptor)
