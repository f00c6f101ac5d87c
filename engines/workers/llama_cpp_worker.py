"""``llama-cpp-python`` in a process of its own: one model, asked over an inherited socket.

Run as a child with the socket's descriptor as its argument; it ends when the socket closes. With
``--devices`` it prints version and devices as one line of JSON and ends.

Requests: ``load`` (the plan), ``chat`` (messages, sampling), ``stop`` (a chat's id), ``tokenize``,
``count``, ``metrics``, ``ping``. Each has an ``id`` that its answers carry, a higher one than those
before. A chat is answered with ``prefill``, ``text``, then ``end``; the others with ``value``,
everything with ``error`` if it cannot be done. Images are base64. Times are nanoseconds.
"""

from __future__ import annotations

import base64
import codecs
import importlib
import json
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from modeldeck.engines.workers.lines import messages, packed
from modeldeck.engines.workers.llama_cpp_model import (
    ContextFull,
    LlamaModel,
    NotLoaded,
    Stopped,
    devices,
)
from modeldeck.engines.workers.llama_cpp_sight import Unit, Unreadable, tokens_in

Request = Mapping[str, Any]


class Worker:
    """Takes requests one after the other; a stop or a ping is heard at once."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._requests: queue.Queue[Request] = queue.Queue()
        self._telling = threading.Lock()
        self._stopped: frozenset[int] = frozenset()
        self._now_id = 0
        self._model: LlamaModel | None = None
        self._counters = {
            "prompt_tokens_total": 0.0,
            "prompt_seconds_total": 0.0,
            "tokens_predicted_total": 0.0,
            "tokens_predicted_seconds_total": 0.0,
        }

    def run(self) -> None:
        """Answer until the socket closes."""
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            request = self._requests.get()
            self._now_id = request["id"]
            try:
                self._answer(request)
            except NotLoaded as error:
                self._tell("error", kind="load", message=f"llama.cpp did not make {error}")
            except Unreadable as error:
                self._tell("error", kind="image", message=str(error))
            except TemplateFailed as error:
                self._tell("error", kind="template", message=str(error))

    def _listen(self) -> None:
        try:
            for message in messages(self._channel):
                match message["do"]:
                    case "stop":
                        later = {number for number in self._stopped if number >= self._now_id}
                        self._stopped = frozenset({*later, message["id"]})
                    case "ping":
                        self._send(message["id"], "value", value=True)
                    case _:
                        self._requests.put(message)
        finally:
            os._exit(0)

    def _should_stop(self) -> bool:
        return self._now_id in self._stopped

    def _tell(self, what: str, **more: object) -> None:
        self._send(self._now_id, what, **more)

    def _send(self, identity: int, what: str, **more: object) -> None:
        line = packed({"id": identity, "is": what, **more})
        with self._telling:
            self._channel.sendall(line)

    def _answer(self, request: Request) -> None:
        if request["do"] == "load":
            self._load(request)
            return
        model = self._model
        if model is None:
            self._tell("error", kind="load", message="no model is loaded")
            return
        match request["do"]:
            case "chat":
                self._chat(model, request)
            case "tokenize":
                self._tell("value", value=model.tokens(request["text"], special=False))
            case "count":
                prompt, images = _told(model, request)
                with model.units(prompt, images, only_count=True) as units:
                    self._tell("value", value=tokens_in(units))
            case _:
                self._tell("value", value=self._counters)

    def _load(self, request: Request) -> None:
        shown = -1.0

        def on_progress(share: float) -> None:
            nonlocal shown
            if share - shown >= 0.01 or share >= 1:
                shown = share
                self._tell("progress", share=share)

        self._model = model = LlamaModel(request["plan"], on_progress, self._should_stop)
        made = {
            "context_tokens": model.context_tokens,
            "slots": model.slots,
            "sees_images": model.sees_images,
        }
        self._tell("value", value=made)

    def _chat(self, model: LlamaModel, request: Request) -> None:
        prompt, images = _told(model, request)
        with model.units(prompt, images) as units:
            self._reply(model, request, units, thinks=prompt.rstrip().endswith("<think>"))

    def _reply(
        self, model: LlamaModel, request: Request, units: Sequence[Unit], *, thinks: bool
    ) -> None:
        total = tokens_in(units)
        if total >= model.context_tokens:
            sizes = {"prompt_tokens": total, "context_tokens": model.context_tokens}
            self._tell("error", kind="context", message="", **sizes)
            return
        if not isinstance(units[-1], int):
            raise Unreadable("the chat template says nothing after the image")
        reply = _Reply(self._tell, total, model)
        begin_ns = time.monotonic_ns()
        try:
            kept = model.keep_prefix(units)
            reply.cached = cached = tokens_in(units[:kept])
            self._prefill(total, cached, cached, begin_ns, thinks)
            for done in model.compute(units[kept:]):
                self._prefill(total, cached, cached + done, begin_ns, thinks)
                if self._should_stop():
                    raise Stopped
            reply.begin()
            reason = self._write(model, request["sampling"], reply)
        except Stopped:
            reason = "cancelled"
        except ContextFull:
            reason = "length"
        reply.end(reason)
        self._count(reply)

    def _prefill(
        self, total: int, cached: int, processed: int, begin_ns: int, thinks: bool
    ) -> None:
        elapsed_ns = time.monotonic_ns() - begin_ns
        self._tell(
            "prefill",
            total=total,
            cached=cached,
            processed=processed,
            elapsed_ns=elapsed_ns,
            thinks=thinks,
        )

    def _write(self, model: LlamaModel, sampling: Mapping[str, Any], reply: _Reply) -> str:
        most = sampling.get("max_tokens")
        with model.sampler(sampling) as draw:
            while True:
                token = draw()
                reply.decoded += 1
                if model.ends(token):
                    return "stop"
                reply.say(model.piece(token))
                if most is not None and reply.decoded >= most:
                    return "length"
                if self._should_stop():
                    return "cancelled"
                for _ in model.compute([token]):
                    pass

    def _count(self, reply: _Reply) -> None:
        prompt, _, prefill_ns, decoded, decode_ns = reply.timings()
        self._counters["prompt_tokens_total"] += prompt
        self._counters["prompt_seconds_total"] += prefill_ns / 1e9
        self._counters["tokens_predicted_total"] += decoded
        self._counters["tokens_predicted_seconds_total"] += decode_ns / 1e9


class TemplateFailed(Exception):
    """The model's chat template did not take the conversation."""


def _told(model: LlamaModel, request: Request) -> tuple[str, list[bytes]]:
    """The prompt of a request, and its images."""
    said = request["messages"]
    try:
        prompt = model.prompt(said)
    except Exception as error:  # a template is a program of a stranger's
        raise TemplateFailed(f"{type(error).__name__}: {error}") from error
    return prompt, [base64.b64decode(data) for m in said for data in m.get("images", ())]


class _Reply:
    """One answer: its counts, its clock, and the bytes that are no whole character yet."""

    def __init__(self, tell: Any, prompt_tokens: int, model: LlamaModel) -> None:
        self._tell = tell
        self._model = model
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._prefill_ns: int | None = None
        self._before_ns = 0
        self.prompt_tokens = prompt_tokens
        self.cached = 0
        self.decoded = 0

    def begin(self) -> None:
        """The prompt is computed: all that llama.cpp has clocked so far was prefill."""
        perf = self._model.perf()
        self._prefill_ns = perf.prefill_ns + perf.decode_ns
        self._before_ns = perf.decode_ns

    def timings(self) -> list[int]:
        """Prompt tokens computed, cached ones, prefill ns, tokens decoded, decode ns."""
        perf = self._model.perf()
        if self._prefill_ns is None:
            return [0, self.cached, perf.prefill_ns + perf.decode_ns, 0, 0]
        computed, decode_ns = self.prompt_tokens - self.cached, perf.decode_ns - self._before_ns
        return [computed, self.cached, self._prefill_ns, self.decoded, decode_ns]

    def say(self, piece: bytes) -> None:
        """Pass on what is whole."""
        if text := self._decoder.decode(piece):
            self._tell("text", text=text, timings=self.timings())

    def end(self, reason: str) -> None:
        """The last of the text, then the counts."""
        if rest := self._decoder.decode(b"", True):
            self._tell("text", text=rest, timings=self.timings())
        self._tell("end", reason=reason, prompt_tokens=self.prompt_tokens, timings=self.timings())


def main(arguments: list[str]) -> int:
    """Serve the socket, or tell what this build is."""
    if arguments == ["--devices"]:
        version = importlib.import_module("llama_cpp").__version__
        print(json.dumps({"version": version, "devices": devices()}))  # noqa: T201
        return 0
    Worker(socket.socket(fileno=int(arguments[0]))).run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
