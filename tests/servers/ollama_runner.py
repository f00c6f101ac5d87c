"""The process behind Ollama that holds one model: a ``llama-server``, as Ollama starts and asks it.

After ``llm/llama_server.go`` of Ollama: its flags, the requests of ``Chat`` and ``Completion``,
the answers' fields, and how a prompt that is too long is cut.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modeldeck.engines.types import LocalModel

_TIMINGS = ("cache_n", "prompt_n", "prompt_ms", "predicted_n", "predicted_ms")


class Runner:
    """One ``llama-server`` with one model."""

    def __init__(self, launcher: Path, model: LocalModel, options: Mapping[str, Any]) -> None:
        self.options = dict(options)
        self.context_tokens = int(options.get("num_ctx", 4096))
        self.ready = False
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        batch = str(options.get("num_batch", 512))
        words = [str(launcher), "--model", str(model.path), "--port", str(self.port)]
        words += ["--host", "127.0.0.1", "--no-ui", "--offline", "-np", "1"]
        words += ["-c", str(self.context_tokens), "-b", batch, "-ub", batch]
        words += ["-ngl", str(options.get("num_gpu", 999)), "-t", "1", "--jinja"]
        words += ["-fa", "on", "-ctk", "f16", "-ctv", "f16", "-fit", "off"]
        if model.projector is not None:
            words += ["--mmproj", str(model.projector)]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(words, stdout=quiet, stderr=quiet)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_ready(self) -> None:
        """Wait for it. Raises OSError: it ended."""
        while True:
            if not self.alive:
                raise OSError(f"exit status {self.process.returncode}")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
                connection.request("GET", "/health")
                self.ready = connection.getresponse().status == 200
                connection.close()
            except (OSError, http.client.HTTPException):
                self.ready = False
            if self.ready:
                return
            time.sleep(0.02)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def answer(self, body: Mapping[str, Any], *, truncate: bool) -> http.client.HTTPResponse:
        """llama-server's streaming answer to the body of ``/api/chat``."""
        options: Mapping[str, Any] = body.get("options") or {}
        asked = {
            "messages": [_message(message) for message in body["messages"]],
            "stream": True,
            "cache_prompt": True,
            "n_predict": min(options.get("num_predict", -1) % (1 << 31), 10 * self.context_tokens),
            "seed": options.get("seed", -1),
            "temperature": options.get("temperature", 0.8),
        }
        if truncate and not any(message.get("images") for message in body["messages"]):
            prompt = json.loads(self._post("/apply-template", asked).read())["prompt"]
            cut = {"content": prompt, "add_special": True, "parse_special": True}
            tokens: list[int] = json.loads(self._post("/tokenize", cut).read())["tokens"]
            if len(tokens) >= self.context_tokens:
                keep = self.context_tokens - max((self.context_tokens - 4) // 2, 1)
                kept = tokens[:4] + tokens[len(tokens) - keep + 4 :]
                return self._post("/completion", {**asked, "prompt": kept})
        return self._post("/v1/chat/completions", asked)

    def _post(self, path: str, body: object) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {"Content-Type": "application/json", "Connection": "close"}
        try:
            connection.request("POST", path, json.dumps(body), headers)
            return connection.getresponse()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error

    def lines(self, name: str, answer: http.client.HTTPResponse) -> Iterator[Mapping[str, object]]:
        """``api.ChatResponse`` line by line; an error line where the process ends."""
        begin_ns = time.monotonic_ns()
        try:
            for line in answer:
                data = line.removeprefix(b"data: ").strip()
                if not data or data == b"[DONE]":
                    continue
                said = json.loads(data)
                choices: list[dict[str, Any]] = said.get("choices") or [{}]
                choice = choices[0]
                delta: dict[str, Any] = choice.get("delta") or {"content": said.get("content")}
                message: dict[str, str] = {
                    "role": "assistant",
                    "content": delta.get("content") or "",
                }
                if thought := delta.get("reasoning_content"):
                    message["thinking"] = thought
                finish = choice.get("finish_reason") or _stop_type(said)
                told: dict[str, object] = {
                    "model": name,
                    "created_at": "2026-01-01T00:00:00Z",
                    "message": message,
                    "done": bool(finish),
                }
                if finish:
                    total_ns = time.monotonic_ns() - begin_ns
                    yield {**told, "done_reason": finish, **_metrics(said["timings"], total_ns)}
                    return
                if message["content"] or "thinking" in message:
                    yield told
            self.process.wait(5)
            raise http.client.IncompleteRead(b"")
        except (OSError, http.client.HTTPException, subprocess.TimeoutExpired):
            yield {"error": "an error was encountered while running the model: unexpected EOF"}


def _stop_type(said: Mapping[str, Any]) -> str:
    if not said.get("stop"):
        return ""
    return "length" if said.get("stop_type") == "limit" else "stop"


def _metrics(timings: Mapping[str, float], total_ns: int) -> dict[str, int]:
    """``api.Metrics``: nanoseconds, zeros left out; cached tokens count as evaluated."""
    cached, prompt, prompt_ms, decoded, decoded_ms = (timings.get(key, 0) for key in _TIMINGS)
    metrics = {
        "total_duration": total_ns,
        "prompt_eval_count": int(cached + prompt),
        "prompt_eval_duration": int(prompt_ms * 1e6),
        "eval_count": int(decoded),
        "eval_duration": int(decoded_ms * 1e6),
    }
    return {key: value for key, value in metrics.items() if value}


def _message(message: Mapping[str, Any]) -> dict[str, object]:
    """``llamaServerChatMessage``: text first, then the images as data URIs."""
    if not message.get("images"):
        return {"role": message["role"], "content": message["content"]}
    uris = [f"data:image/png;base64,{image}" for image in message["images"]]
    return {
        "role": message["role"],
        "content": [
            {"type": "text", "text": message["content"]},
            *({"type": "image_url", "image_url": {"url": uri}} for uri in uris),
        ],
    }
