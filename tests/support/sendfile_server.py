"""Serves one file by ranges as fast as the kernel can: run as a program, it prints its port.

A server of its own process that copies nothing, so that what is measured is who fetches.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading

_RANGE = re.compile(rb"[Rr]ange: bytes=(\d+)-(\d*)")


def _connection(there: socket.socket, file: int, size: int) -> None:
    asked = b""
    try:
        while True:
            while b"\r\n\r\n" not in asked:
                if not (more := there.recv(65536)):
                    return
                asked += more
            head, _, asked = asked.partition(b"\r\n\r\n")
            _answer(there, head, file, size)
    except OSError:
        return


def _answer(there: socket.socket, head: bytes, file: int, size: int) -> None:
    found = _RANGE.search(head)
    first, last = 0, size - 1
    status = "200 OK"
    if found is not None:
        first, last = int(found[1]), int(found[2] or last)
        status = f"206 Partial\r\nContent-Range: bytes {first}-{last}/{size}"
    length = last + 1 - first
    there.sendall(f'HTTP/1.1 {status}\r\nETag: "it"\r\nContent-Length: {length}\r\n\r\n'.encode())
    while first <= last:
        first += os.sendfile(there.fileno(), file, first, last + 1 - first)


def _main(path: str) -> None:
    file = os.open(path, os.O_RDONLY)
    size = os.fstat(file).st_size
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            there, _ = listening.accept()
            threading.Thread(target=_connection, args=(there, file, size), daemon=True).start()


if __name__ == "__main__":
    _main(sys.argv[1])
