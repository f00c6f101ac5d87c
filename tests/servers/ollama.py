"""Ollama's HTTP interface in front of real llama.cpp, one ``llama-server`` for each loaded model.

Ollama itself cannot be had here; it too starts a ``llama-server`` (``llm/llama_server.go``).
Routes and their order of checks: ``server/routes.go``; fields: ``api/types.go``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from modeldeck.engines.types import LocalModel
from tests.servers.ollama_runner import Runner

Fault = Literal["", "wants a key", "too busy", "hangs", "hangs up", "half a line", "garbage"]
Asked = tuple[str, dict[str, Any]]
VERSION = "0.32.13"


@dataclass
class OllamaState:
    """What the server has and holds.

    Attributes:
        models: its store, by name.
        launcher: the ``llama-server`` it starts.
        fault: what it does wrong with the next requests.
        old: it knows no ``truncate``, as versions before 0.12.
        runners: the loaded models.
        asked: bodies of the requests so far, by path.
        key: the bearer token that was sent last.
    """

    models: Mapping[str, LocalModel]
    launcher: Path
    fault: Fault = ""
    old: bool = False
    runners: dict[str, Runner] = field(default_factory=dict[str, Runner])
    asked: list[tuple[str, dict[str, Any]]] = field(
        default_factory=list[tuple[str, dict[str, Any]]]
    )
    key: str = ""
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self, name: str, options: Mapping[str, Any]) -> Runner:
        """The runner of a model: anew where it runs with other options (``server/sched.go``)."""
        with self.lock:
            held = self.runners.get(name)
            load_options = {key: options[key] for key in options if key.startswith("num_")}
            load_options.pop("num_predict", None)
            if held is not None and held.alive and held.options == load_options:
                return held
            if held is not None:
                self.runners.pop(name).stop()
            runner = Runner(self.launcher, self.models[name], load_options)
            self.runners[name] = runner
            try:
                runner.wait_ready()
            except OSError:
                self.runners.pop(name).stop()
                raise
            return runner

    def unload(self, name: str) -> None:
        with self.lock:
            if (runner := self.runners.pop(name, None)) is not None:
                runner.stop()

    def kill(self) -> None:
        """End the processes with the weights, as a crash would."""
        for runner in self.runners.values():
            runner.process.kill()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: OllamaState

    def do_GET(self) -> None:
        if self._faulty():
            return
        if self.path == "/":
            # server/routes.go: r.GET("/", func(c) { c.String(200, "Ollama is running") })
            self._send(200, b"Ollama is running", "text/plain; charset=utf-8")
        elif self.path == "/api/version":
            self._json({"version": VERSION})
        elif self.path == "/api/tags":  # api.ListModelResponse
            self._json({"models": [self._listed(name) for name in self.state.models]})
        elif self.path == "/api/ps":  # api.ProcessModelResponse
            living = {n: r for n, r in self.state.runners.items() if r.alive and r.ready}
            ends = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
            loaded = [
                {
                    **self._listed(name),
                    "expires_at": ends,
                    "size_vram": 0,
                    "context_length": runner.context_tokens,
                }
                for name, runner in living.items()
            ]
            self._json({"models": loaded})
        else:
            self._send(404, b"404 page not found", "text/plain")

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body: dict[str, Any] = json.loads(self.rfile.read(length))
        self.state.asked.append((self.path, body))
        self.state.key = self.headers.get("Authorization", "")
        if self._faulty():
            return
        name = body["model"]
        if name not in self.state.models:
            self._json({"error": f"model '{name}' not found"}, 404)
        elif self.path == "/api/show":  # api.ShowResponse; types/model/capability.go
            sees = self.state.models[name].projector is not None
            self._json({"capabilities": ["completion", *(["vision"] if sees else [])]})
        elif self.path == "/api/generate" and not body.get("prompt"):
            self._keep(name, body)
        elif self.path == "/api/chat":
            self._chat(name, body)
        else:
            self._send(404, b"404 page not found", "text/plain")

    def _keep(self, name: str, body: Mapping[str, Any]) -> None:
        """An empty prompt loads, and unloads with ``keep_alive`` 0 (``GenerateHandler``)."""
        unloads = body.get("keep_alive") == 0
        try:
            if unloads:
                self.state.unload(name)
            else:
                self.state.load(name, body.get("options") or {})
        except OSError as error:
            self._json({"error": f"llama-server process has terminated: {error}"}, 500)
            return
        reason = "unload" if unloads else "load"
        self._json({"model": name, "response": "", "done": True, "done_reason": reason})

    def _chat(self, name: str, body: Mapping[str, Any]) -> None:
        try:
            runner = self.state.load(name, body.get("options") or {})
            truncate = self.state.old or body.get("truncate") is not False
            answer = runner.answer(body, truncate=truncate)
        except OSError as error:
            self._json({"error": f"model runner has unexpectedly stopped: {error}"}, 500)
            return
        if answer.status != 200:
            # llm/llama_server.go, Chat: api.StatusError with the text that llama-server gave.
            said = answer.read().decode()
            self._json({"error": said}, answer.status)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(OSError), answer:
            for number, line in enumerate(runner.lines(name, answer)):
                self._chunk(json.dumps(line).encode() + b"\n", number)
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def _chunk(self, data: bytes, number: int) -> None:
        fault = self.state.fault
        if number == 3 and fault == "hangs up":
            raise ConnectionResetError
        if number == 3 and fault == "half a line":
            data = data[: len(data) // 2]
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()
        if number == 3 and fault == "half a line":
            self.wfile.write(b"0\r\n\r\n")
            raise ConnectionResetError
        if number == 3 and fault == "hangs":
            self.state.released.wait(30)
            raise ConnectionResetError

    def _faulty(self) -> bool:
        """Answer wrongly at once, where the fault is one of the whole server."""
        fault = self.state.fault
        if fault == "wants a key" and self.headers.get("Authorization") != "Bearer s3cret":
            self._json({"error": "unauthorized"}, 401)
        elif fault == "too busy":
            self.send_response(429)
            self.send_header("Retry-After", "7")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif fault == "garbage":
            self._send(200, b"<html>\x1b[31mhello", "text/html")
        else:
            return False
        return True

    def _listed(self, name: str) -> dict[str, object]:
        size = self.state.models[name].size_bytes
        details = {"format": "gguf", "family": "llama", "quantization_level": "F16"}
        return {"name": name, "model": name, "size": size, "digest": "0" * 64, "details": details}

    def _json(self, body: object, status: int = 200) -> None:
        self._send(status, json.dumps(body).encode(), "application/json; charset=utf-8")

    def _send(self, status: int, data: bytes, kind: str) -> None:
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True


@contextmanager
def ollama_running(state: OllamaState) -> Generator[str]:
    """The address of a server over ``state``, which ends with all its processes."""
    handler = type("Handler", (_Handler,), {"state": state})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        state.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
        for name in list(state.runners):
            state.unload(name)
