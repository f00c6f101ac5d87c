"""Owning pulls: the socket, the signals and the log around the service."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import os
import signal
from contextlib import suppress
from importlib.metadata import version
from typing import Final

from modeldeck.engines.pulls.desk import Desk
from modeldeck.engines.pulls.home import Owner, PullsHome
from modeldeck.engines.pulls.service import Service
from modeldeck.engines.pulls.wire import MOST_BYTES

_LOG_BYTES: Final = 256 << 10


async def serve(home: PullsHome, lock: int, idle_seconds: float) -> None:
    """Own pulls until there is nothing to do. Raises OSError.

    Args:
        home: the owner's folder.
        lock: that makes this process the owner.
        idle_seconds: without anything to do.
    """
    service = Service(home, idle_seconds)
    desk = Desk(service, version("modeldeck"))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.end)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    path = home.socket()
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(desk.connected, path, limit=MOST_BYTES)
    finally:
        os.umask(before)
    home.say(lock, Owner(os.getpid(), path, version("modeldeck")))
    try:
        await service.run()
    finally:
        server.close()
        with suppress(OSError):
            path.unlink()


def log_to(home: PullsHome) -> None:
    """Write the log there, in a file that does not grow without end. Raises OSError."""
    log = logging.getLogger("modeldeck.pulls")
    handler = logging.handlers.RotatingFileHandler(home.log, maxBytes=_LOG_BYTES, backupCount=1)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    home.log.chmod(0o600)
