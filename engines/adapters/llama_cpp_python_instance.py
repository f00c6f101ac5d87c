"""One model in a ``llama-cpp-python`` worker: its child process and the socket to it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import secrets
import socket
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any, Final

from modeldeck.engines.adapters.json_values import count, items, table, text
from modeldeck.engines.adapters.llama_buffers import buffers_of
from modeldeck.engines.adapters.llama_server_instance import exit_words
from modeldeck.engines.adapters.llama_server_launch import threads_for
from modeldeck.engines.adapters.llama_server_log import device_of, reason_of
from modeldeck.engines.adapters.planned import require_planned
from modeldeck.engines.adapters.thoughts import ThoughtSplitter
from modeldeck.engines.buffers import Buffer
from modeldeck.engines.chat import (
    ChatEvent,
    ChatMessage,
    ChatRequest,
    Done,
    PrefillProgress,
    ReasoningDelta,
    TextDelta,
    Timings,
    Usage,
)
from modeldeck.engines.contract import OnProgress
from modeldeck.engines.errors import EngineDied, EngineMissing, LoadFailed, RequestRefused
from modeldeck.engines.text import clean, clean_line
from modeldeck.engines.types import LoadedModel, LoadProgress, LocalModel, Plan
from modeldeck.engines.workers.foreign import foreign_command
from modeldeck.engines.workers.lines import MOST_LINE_BYTES, packed
from modeldeck.engines.workers.process import ChildProcess

ENGINE: Final = "llama_cpp_python"
WORKER: Final = "modeldeck.engines.workers.llama_cpp_worker"
_WEIGHTS_SHARE: Final = 0.9
_TAIL_LINES: Final = 40
PING_S: Final = 2.0

Answer = Mapping[str, object]


class WorkerInstance:
    """A worker that we started for one model, from start to reaped."""

    def __init__(self, model: LocalModel, plan: Plan, python: str, build: str) -> None:
        """Prepare a worker; ``load`` starts it.

        Args:
            model: what to load.
            plan: how.
            python: the interpreter that has the library.
            build: the library's version, for ``LoadedModel``.
        """
        self.id = secrets.token_hex(4)
        self._model, self._plan, self._python, self._build = model, plan, python, build
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Queue[Answer | None]] = {}
        self._child: ChildProcess | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self.loaded: LoadedModel | None = None
        self.buffers: tuple[Buffer, ...] = ()

    @property
    def running(self) -> bool:
        """Whether the worker's process is alive."""
        return self._child is not None and self._child.running

    def log(self) -> tuple[str, ...]:
        """What llama.cpp wrote, newest last."""
        return self._child.log() if self._child else ()

    async def load(self, on_progress: OnProgress) -> LoadedModel:
        """Start the worker and load the model. Whatever goes wrong, nothing stays behind.

        Raises:
            EngineMissing: the worker cannot be started at all.
            LoadFailed: llama.cpp said no, ended, or made something else than was planned.
        """
        begin_ns = time.monotonic_ns()
        try:
            on_progress(LoadProgress("starting", 0.0))
            await self._start()
            try:
                made = await self._load(on_progress)
            except EngineDied as died:
                raise await self._load_failed() from died
            self.loaded = self._described(made, time.monotonic_ns() - begin_ns)
            self.buffers = buffers_of(self.log())
        except BaseException:
            await self.stop()
            raise
        on_progress(LoadProgress("ready", 1.0))
        return self.loaded

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            command = foreign_command(self._python, WORKER, str(theirs.fileno()))
            self._child = await ChildProcess.start(command, inherited=(theirs.fileno(),))
        except BaseException as error:
            ours.close()
            if not isinstance(error, OSError):
                raise
            raise EngineMissing(
                f"{self._python} cannot be started ({error.strerror}).",
                f"Check [engines.{ENGINE}] python in the settings.",
            ) from error
        finally:
            theirs.close()
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=MOST_LINE_BYTES)
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Hand each answer to who waits for it; all of them learn of the end."""
        with contextlib.suppress(ValueError, ConnectionError):
            while line := await reader.readline():
                answer = table(json.loads(line))
                waiting = self._answers.get(count(answer.get("id")))
                if waiting is not None:
                    waiting.put_nowait(answer)
        for waiting in self._answers.values():
            waiting.put_nowait(None)

    async def _load(self, on_progress: OnProgress) -> Answer:
        plan = {
            **self._plan._asdict(),
            "threads": threads_for(self._plan),
            "path": str(self._model.path),
            "projector": str(self._model.projector) if self._model.projector else None,
        }
        async with contextlib.aclosing(self._ask("load", plan=plan)) as answers:
            async for answer in answers:
                if answer["is"] == "progress":
                    share = answer.get("share")
                    fraction = share if isinstance(share, float | int) else 0
                    on_progress(
                        LoadProgress("reading weights", round(fraction * _WEIGHTS_SHARE, 2))
                    )
                    continue
                if answer["is"] == "value":
                    return table(answer.get("value"))
                break
        raise await self._load_failed()

    def _described(self, made: Answer, load_ns: int) -> LoadedModel:
        context, slots = count(made.get("context_tokens")), count(made.get("slots"))
        require_planned(self._plan, context, slots, self.log()[-_TAIL_LINES:])
        return LoadedModel(
            instance=self.id,
            engine=ENGINE,
            engine_build=self._build,
            model=self._model,
            plan=self._plan,
            context_tokens=context,
            pid=self._child.pid if self._child else None,
            load_ns=load_ns,
            device=device_of(self.log()),
            sees_images=made.get("sees_images") is True,
        )

    async def _load_failed(self) -> LoadFailed | EngineMissing:
        child = self._child
        if child is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), 0.5)
        lines = self.log()
        tail = lines[-_TAIL_LINES:]
        if any("No module named" in line for line in tail):
            return EngineMissing(
                f"{self._python} has no llama-cpp-python.",
                f"Install it there, or change [engines.{ENGINE}] python.",
                tail,
            )
        reason = reason_of(lines) or exit_words(child.exit_code if child else None)
        return LoadFailed(
            f"llama.cpp could not load {self._model.name}: {clean_line(reason, 200)}.",
            "Read the log, then check that the file is whole, or choose another model.",
            tail,
        )

    # Asking.

    async def _ask(self, what: str, **more: object) -> AsyncGenerator[Answer, None]:
        """Send a request and yield its answers; the worker is told when nobody listens any more."""
        identity = next(self._ids)
        answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        self._answers[identity] = answers
        finished = False
        try:
            await self._send({"id": identity, "do": what, **more})
            while (answer := await answers.get()) is not None:
                finished = answer["is"] in ("value", "end", "error")
                yield answer
                if finished:
                    return
            raise await self._died()
        finally:
            del self._answers[identity]
            if not finished and self._writer is not None:
                self._writer.write(packed({"id": identity, "do": "stop"}))

    async def _send(self, message: Mapping[str, Any]) -> None:
        if self._writer is None or not self.running:
            raise await self._died()
        try:
            self._writer.write(packed(message))
            await self._writer.drain()
        except ConnectionError as error:
            raise await self._died() from error

    async def value(self, what: str, **more: object) -> object:
        """The answer to a plain question. Raises EngineDied, RequestRefused."""
        async with contextlib.aclosing(self._ask(what, **more)) as answers:
            async for answer in answers:
                if answer["is"] == "value":
                    return answer.get("value")
                raise self._refused(answer)
        raise await self._died()

    async def count_tokens(self, messages: tuple[ChatMessage, ...]) -> int:
        """Prompt length of a conversation. Raises EngineDied, RequestRefused."""
        return count(await self.value("count", messages=await _said(messages)))

    async def answers(self) -> bool:
        """Whether the worker answers within two seconds, whatever it computes."""
        try:
            async with asyncio.timeout(PING_S):
                return await self.value("ping") is True
        except (EngineDied, RequestRefused, TimeoutError):
            return False

    async def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Stream one reply; closing the generator stops the worker at the next token.

        Raises:
            EngineDied: the process ended.
            RequestRefused: the prompt is too long, or its template fails.
        """
        splitter = ThoughtSplitter()
        said = await _said(request.messages)
        asked = self._ask("chat", messages=said, sampling=request.sampling._asdict())
        begun = False
        async with contextlib.aclosing(asked) as answers:
            async for answer in answers:
                match answer["is"]:
                    case "prefill":
                        if not begun:
                            splitter = ThoughtSplitter(thinking=answer.get("thinks") is True)
                            begun = True
                        yield PrefillProgress(
                            processed=count(answer.get("processed")),
                            total=count(answer.get("total")),
                            cached=count(answer.get("cached")),
                            elapsed_ns=count(answer.get("elapsed_ns")),
                        )
                    case "text":
                        timings = _timings(answer)
                        for kind, words in splitter.feed(text(answer.get("text"))):
                            made = ReasoningDelta if kind == "thought" else TextDelta
                            yield made(clean(words), timings)
                    case "end":
                        timings = _timings(answer)
                        for kind, words in splitter.end():
                            made = ReasoningDelta if kind == "thought" else TextDelta
                            yield made(clean(words), timings)
                        yield Usage(
                            count(answer.get("prompt_tokens")),
                            timings.decoded_tokens,
                            timings.cached_tokens,
                            timings,
                        )
                        yield Done("length" if answer.get("reason") == "length" else "stop")
                    case _:
                        raise self._refused(answer)

    def _refused(self, answer: Answer) -> RequestRefused:
        if answer.get("kind") == "context":
            return RequestRefused(
                f"The conversation is {answer.get('prompt_tokens')} tokens long and the context "
                f"holds {answer.get('context_tokens')}.",
                "Begin a new conversation, or load the model with a larger context.",
            )
        return RequestRefused(
            f"llama-cpp-python refused the request: {clean_line(text(answer.get('message')), 300)}",
            "Change the message or the sampling parameters and send again.",
        )

    async def _died(self) -> EngineDied:
        child = self._child
        if child is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), 2.0)
        tail = self.log()[-_TAIL_LINES:]
        words = reason_of(tail) or exit_words(child.exit_code if child else None)
        return EngineDied(
            f"llama.cpp stopped while it held {self._model.name}: {words}.",
            "Send again: the model is loaded anew.",
            tail,
        )

    async def stop(self) -> None:
        """End the worker and reap it. Safe to call twice."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()
        if self._child is not None:
            await self._child.stop(grace_s=1.0)
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading


async def _said(messages: Iterable[ChatMessage]) -> list[dict[str, object]]:
    """Messages as the worker takes them; images, which may be megabytes, hold nobody up."""
    said: list[dict[str, object]] = []
    for message in messages:
        images = [await asyncio.to_thread(_base64, image.data) for image in message.images]
        said.append({"role": message.role, "content": message.content, "images": images})
    return said


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _timings(answer: Answer) -> Timings:
    numbers = [count(number) for number in items(answer.get("timings"))]
    prompt, cached, prefill_ns, decoded, decode_ns = (*numbers, 0, 0, 0, 0, 0)[:5]
    return Timings("engine", prompt, cached, prefill_ns, decoded, decode_ns)
