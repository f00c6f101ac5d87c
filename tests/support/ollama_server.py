"""What of Ollama's HTTP interface changes its store, over a real store, as ``docs/api.md`` has it.

Ollama itself cannot be had here. Deleting drops the blobs that no other manifest names.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from modeldeck.engines.house.manifests import blob_path, manifest_paths, manifests_of
from tests.support.stores import OllamaStore


class _Handler(BaseHTTPRequestHandler):
    store: OllamaStore
    asked: list[str]
    loaded: Sequence[str]

    def do_GET(self) -> None:
        manifests = list(manifests_of(self.store.folder))
        if self.path == "/api/tags":
            self._answer(
                {"models": [{"name": one.name, "digest": one.own_digest} for one in manifests]}
            )
        else:
            loaded = [one for one in manifests if one.name in self.loaded]
            self._answer({"models": [{"name": one.name, "digest": "0"} for one in loaded]})

    def do_HEAD(self) -> None:
        digest = self.path.rpartition(":")[2]
        self.send_response(200 if blob_path(self.store.folder, digest).exists() else 404)
        self.end_headers()

    def do_DELETE(self) -> None:
        name = self._body()["model"]
        self.asked.append(f"delete {name}")
        path = manifest_paths(self.store.folder, name)[-1]
        if not path.exists():
            self._answer({"error": f"model '{name}' not found"}, 404)
            return
        gone = next(one for one in manifests_of(self.store.folder) if one.path == path)
        path.unlink()
        needed = {blob for one in manifests_of(self.store.folder) for blob in one.blobs}
        for blob in {*gone.blobs} - needed:
            blob.unlink(missing_ok=True)
        self._answer({})

    def do_POST(self) -> None:
        if self.path.startswith("/api/blobs/"):
            data = self.rfile.read(int(self.headers["Content-Length"]))
            sound = self.store.blob(data) == self.path.rpartition("/")[2]
            self.asked.append("upload")
            self._answer({} if sound else {"error": "digest mismatch"}, 201 if sound else 400)
            return
        body = self._body()
        self.asked.append(f"create {body['model']}")
        files: dict[str, str] = body["files"]
        (data,) = (
            blob_path(self.store.folder, digest.rpartition(":")[2]).read_bytes()
            for digest in files.values()
        )
        model, _, tag = str(body["model"]).partition(":")
        self.store.model(model, tag, model=data, template=b"{{ .Prompt }}")
        self._answer({"status": "success"})

    def _body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return body

    def _answer(self, body: object, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def ollama_serving(
    store: OllamaStore, *, loaded: Sequence[str] = ()
) -> Generator[tuple[str, list[str]]]:
    """A server over ``store``: its address, and what it was asked to change so far."""
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"store": store, "asked": asked, "loaded": loaded})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
