"""Hangs up on servers that take longer than they may: a wait for the next byte can go on for ever.

What one read of a connection may take is limited too, but a server that sends a byte now and then
never meets that limit.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

_CONNECTED: Final = ("connect_tcp.complete", "start_tls.complete")


class Watch:
    """Over the connections of one client.

    Attributes:
        late: the last block took longer than it might.
        ended: nothing is to come any more.
    """

    def __init__(self) -> None:
        self.late = False
        self.ended = False
        self._until = 0.0
        self._sockets: list[socket.socket] = []

    def trace(self, event: str, info: Mapping[str, object]) -> None:
        """Note each connection when it is made (httpcore's trace extension)."""
        if event.endswith(_CONNECTED):
            made = getattr(info.get("return_value"), "get_extra_info", None)
            known = made("socket") if made is not None else None
            if isinstance(known, socket.socket):
                self._sockets = [one for one in self._sockets if one.fileno() >= 0]
                self._sockets.append(known)
                if self.ended:
                    self.hang_up()

    @contextmanager
    def at_most(self, seconds: float) -> Generator[None]:
        """The block may last that long."""
        self.late = False
        self._until = time.monotonic() + seconds
        over = threading.Event()
        thread = threading.Thread(target=self._wait, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def longer(self, seconds: float) -> None:
        """The block may last so much longer."""
        self._until += seconds

    def _wait(self, over: threading.Event) -> None:
        while not over.wait(max(0.0, self._until - time.monotonic())):
            if time.monotonic() >= self._until:
                self.late = True
                self.hang_up()
                return

    def end(self) -> None:
        """Break off every connection, and each that is made later. From any thread."""
        self.ended = True
        self.hang_up()

    def hang_up(self) -> None:
        """Break every connection off, from any thread."""
        for one in self._sockets:
            with suppress(OSError):
                # Past the TLS layer, which another thread is reading through.
                socket.socket.shutdown(one, socket.SHUT_RDWR)
