"""A real HTTP server on loopback that serves bytes by ranges, or misbehaves in one way."""

from __future__ import annotations

import re
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What is served under which path, and how.

    Attributes:
        files: content by path.
        manner: ``well``, or a way to misbehave.
        url: of the server.
        seen: the headers of every request.
        sent_bytes: bodies, over all answers.
    """

    files: Mapping[str, bytes]
    manner: str = "well"
    url: str = ""
    seen: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    sent_bytes: int = 0


@contextmanager
def serving(files: Mapping[str, bytes], manner: str = "well") -> Generator[FileServer]:
    """Serve until the block ends."""
    state = FileServer(files, manner)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.seen.append(dict(self.headers))
            _answer(self, state)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(request: BaseHTTPRequestHandler, state: FileServer) -> None:
    content = state.files.get(request.path)
    if content is None or state.manner == "refuses":
        request.send_response(401 if content is not None else 404)
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
    if wanted is None or state.manner == "ignores ranges":
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        _send(request, state, content)
        return
    first, last = int(wanted[1]), min(int(wanted[2]), len(content) - 1)
    body, size = content[first : last + 1], len(content)
    if state.manner == "shifts":
        first += 1
    if state.manner == "changes":
        size += len(state.seen)
    request.send_response(206)
    request.send_header("Content-Range", f"bytes {first}-{last}/{size}")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if state.manner == "hangs up":
        body = body[: len(body) // 2]
        request.close_connection = True
    _send(request, state, body)


def _send(request: BaseHTTPRequestHandler, state: FileServer, body: bytes) -> None:
    state.sent_bytes += len(body)
    try:
        request.wfile.write(body)
    except OSError:
        request.close_connection = True
