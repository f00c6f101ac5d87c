"""One running llama.cpp server: its child process, its socket, its HTTP client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modeldeck.engines.adapters.json_values import count, table, text
from modeldeck.engines.adapters.llama_buffers import buffers_of
from modeldeck.engines.adapters.llama_server_address import new_address
from modeldeck.engines.adapters.llama_server_dialect import MODERN, Dialect
from modeldeck.engines.adapters.llama_server_launch import server_words, wheel_settings
from modeldeck.engines.adapters.llama_server_log import device_of, reason_of, stage_of
from modeldeck.engines.adapters.llama_server_wire import (
    ReplyReader,
    SseReader,
    StreamFailed,
    count_body,
    request_body,
)
from modeldeck.engines.adapters.planned import require_drafting, require_planned
from modeldeck.engines.buffers import Buffer
from modeldeck.engines.chat import ChatEvent, ChatMessage, ChatRequest
from modeldeck.engines.contract import OnProgress
from modeldeck.engines.errors import EngineDied, EngineMissing, LoadFailed, RequestRefused
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LoadedModel, LoadProgress, LocalModel, Plan
from modeldeck.engines.workers.process import (
    ChildProcess,
    bytes_read,
    worker_command,
)
from modeldeck.engines.workers.pulse import Pulse

if TYPE_CHECKING:
    import httpx

ENGINE = "llama_server"
WHEEL_MODULE = "modeldeck.engines.workers.xllamacpp_server"
SILENT = "the engine does not answer"
"""The stage of a load in which the server shows no sign of life."""

_POLL_S = 0.05
_PING_S = 2.0
_TAIL_LINES = 40


class ServerInstance:
    """A llama.cpp server that we started for one model, from start to reaped."""

    def __init__(
        self,
        model: LocalModel,
        plan: Plan,
        binary: str | None,
        dialect: Dialect = MODERN,
        build: str = "",
    ) -> None:
        """Prepare a server; ``load`` starts it.

        Args:
            model: what to load.
            plan: how.
            binary: the ``llama-server`` to run; None for the server in the wheel.
            dialect: which flags the binary knows.
            build: the server's version; empty to ask the server, which that in the wheel has not.
        """
        self.id = secrets.token_hex(4)
        self._model = model
        self._plan = plan
        self._binary = binary
        self._dialect = dialect
        self._build = build
        self._api_key = secrets.token_urlsafe(24)
        self._address, self._directory = new_address()
        self._child: ChildProcess | None = None
        self._client: httpx.AsyncClient | None = None
        self._stages = [("starting", 0.0)]
        self._read_before_bytes: int | None = None
        self.loaded: LoadedModel | None = None
        self.buffers: tuple[Buffer, ...] = ()

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        return self._child is not None and self._child.running

    def log(self) -> tuple[str, ...]:
        """What the server wrote, newest last."""
        return self._child.log() if self._child else ()

    async def load(self, on_progress: OnProgress) -> LoadedModel:
        """Start the server and wait until it is ready. Whatever goes wrong, nothing stays behind.

        Raises:
            EngineMissing: the server cannot be started at all.
            LoadFailed: it ended, or said no.
        """
        started_ns = time.monotonic_ns()
        try:
            on_progress(LoadProgress("starting", 0.0))
            await self._start()
            await self._until_ready(on_progress)
            self.loaded = await self._describe(time.monotonic_ns() - started_ns)
            self.buffers = buffers_of(self.log())
        except (EngineDied, RequestRefused) as error:
            await self.stop()
            raise LoadFailed(error.cause, "Load it again.", error.log_tail) from error
        except BaseException:
            await self.stop()
            raise
        on_progress(LoadProgress("ready", 1.0))
        return self.loaded

    async def _start(self) -> None:
        if self._binary is not None:
            command = server_words(
                self._binary,
                self._model.path,
                self._plan,
                self._address,
                self._dialect,
                projector=self._model.projector,
            )
            # Settings from the user's shell would rewrite the plan.
            environ: dict[str, str | None] = {
                name: None for name in os.environ if name.startswith("LLAMA_ARG_")
            }
            environ["LLAMA_API_KEY"] = self._api_key
            stdin = b""
        else:
            command = worker_command(WHEEL_MODULE)
            environ = {}
            settings = wheel_settings(
                self._model.path,
                self._plan,
                self._address,
                self._api_key,
                projector=self._model.projector,
            )
            stdin = json.dumps(settings).encode() + b"\n"
        try:
            self._child = await ChildProcess.start(
                command,
                environ=environ,
                stdin=stdin,
                on_line=self._read_line,
                hidden=(self._api_key, self._api_key[-4:]),
            )
        except OSError as error:
            raise EngineMissing(
                f"The llama.cpp server could not be started ({error.strerror}).",
                "Check [engines.llama_server] binary in the settings.",
            ) from error

    def _read_line(self, line: str) -> None:
        if stage := stage_of(line):
            self._stages.append(stage)
            if self._read_before_bytes is None and self._child is not None:
                self._read_before_bytes = bytes_read(self._child.pid)

    async def _until_ready(self, on_progress: OnProgress) -> None:
        import httpx  # 60 ms

        child = self._child
        if child is None:
            raise RuntimeError("load() starts the child first")
        uds = str(self._address.socket) if self._address.socket else None
        base = "http://localhost" if uds else f"http://127.0.0.1:{self._address.port}"
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                uds=uds,
                # A kept connection may be closed by the server just as we send.
                limits=httpx.Limits(max_keepalive_connections=0),
            ),
            base_url=base,
            headers={"Authorization": f"Bearer {self._api_key}"},
            timeout=httpx.Timeout(10.0, read=None),
            trust_env=False,
        )
        shown = LoadProgress("starting", 0.0)
        best, reported, answers = 0.0, 0, 0
        ready = False
        pulse = Pulse(child.pid)
        while not ready:
            if not child.running:
                await child.wait()
                raise self._load_failed(child)
            with contextlib.suppress(httpx.TransportError):
                response = await self._client.get("/health", timeout=0.25)
                ready = response.status_code == 200
                answers += 1
            silent = pulse.silent(answers, len(self._stages)) and not ready
            # Every stage once, also one that was over between two polls; then the one we are in.
            for stage, share in self._stages[max(0, reported - 1) :]:
                best = max(best, share)
                if stage == self._stages[-1][0]:
                    best = max(best, self._weights_share(child))
                progress = LoadProgress(SILENT if silent else stage, round(min(best, 0.99), 2))
                if progress != shown:
                    on_progress(progress)
                    shown = progress
            reported = len(self._stages)
            if not ready:
                await asyncio.sleep(_POLL_S)

    def _weights_share(self, child: ChildProcess) -> float:
        """The share of a load that lies behind it by what has been read of the weights."""
        size, before = self._model.size_bytes, self._read_before_bytes
        now = bytes_read(child.pid)
        if before is None or now is None or size <= 0:
            return 0.0
        return min(1.0, max(0, now - before) / size) * 0.95

    def _load_failed(self, child: ChildProcess) -> LoadFailed | EngineMissing:
        lines = child.log()
        tail = lines[-_TAIL_LINES:]
        if any("No module named" in line for line in tail):
            return EngineMissing(
                "The packaged llama.cpp server is not installed.",
                "Run: pip install xllamacpp, or put a llama-server on PATH.",
                tail,
            )
        reason = reason_of(lines) or exit_words(child.exit_code)
        return LoadFailed(
            f"llama.cpp could not load {self._model.name}: {clean_line(reason, 200)}.",
            _next_step(reason),
            tail,
        )

    async def _describe(self, load_ns: int) -> LoadedModel:
        props = await self._get("/props")
        context = table(props.get("default_generation_settings")).get("n_ctx")
        child, slots = self._child, props.get("total_slots")
        require_planned(
            self._plan,
            context if isinstance(context, int) else None,
            slots if isinstance(slots, int) else None,
            self.log()[-_TAIL_LINES:],
        )
        require_drafting(self._plan, self.log())
        return LoadedModel(
            instance=self.id,
            engine=ENGINE,
            engine_build=self._build or clean_line(str(props.get("build_info") or ""), 60),
            model=self._model,
            plan=self._plan,
            context_tokens=context if isinstance(context, int) else self._plan.context_tokens,
            pid=child.pid if child else None,
            load_ns=load_ns,
            device=device_of(self.log()),
            sees_images=table(props.get("modalities")).get("vision") is True,
        )

    async def _get(self, path: str) -> dict[str, Any]:
        return await self._call(lambda client: client.get(path, timeout=10.0))

    async def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """POST JSON and return the JSON answer. Raises EngineDied, RequestRefused."""
        return await self._call(lambda client: client.post(path, json=dict(body), timeout=60.0))

    async def _call(self, send: Callable[[httpx.AsyncClient], Any]) -> dict[str, Any]:
        import httpx

        try:
            response: httpx.Response = await send(self._open_client())
        except httpx.TransportError as error:
            raise await self._died(error) from error
        if response.status_code != 200:
            raise self._refused(response.text)
        answer: dict[str, Any] = response.json()
        return answer

    async def count_with_images(self, messages: Sequence[ChatMessage]) -> int:
        """Prompt length of a conversation with images. Raises EngineDied, RequestRefused.

        llama.cpp sizes every image as its projector will and computes none of them.
        """
        body = await asyncio.to_thread(count_body, messages)  # megabytes, when images are large
        headers = {"Content-Type": "application/json"}
        answer = await self._call(
            lambda client: client.post(
                "/v1/chat/completions/input_tokens", content=body, headers=headers, timeout=60.0
            )
        )
        return count(answer.get("input_tokens"))

    async def answers(self) -> bool:
        """Whether the server answers within two seconds, whatever it says."""
        import httpx

        if self._client is None:
            return False
        try:
            await self._client.get("/health", timeout=_PING_S)
        except httpx.TransportError:
            return False
        return True

    async def metrics(self) -> dict[str, float]:
        """The server's Prometheus counters by name. Raises EngineDied."""
        import httpx

        try:
            response = await self._open_client().get("/metrics", timeout=10.0)
        except httpx.TransportError as error:
            raise await self._died(error) from error
        counters: dict[str, float] = {}
        for line in response.text.splitlines():
            name, _, value = line.rpartition(" ")
            if name and not line.startswith("#"):
                with contextlib.suppress(ValueError):
                    counters[name] = float(value)
        return counters

    async def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Stream one reply. Closing the generator closes the connection, which stops the server.

        Raises:
            EngineDied: the process ended.
            RequestRefused: the server said no.
        """
        import httpx

        sse, reply = SseReader(), ReplyReader()
        try:
            async with self._open_client().stream(
                "POST", "/v1/chat/completions", json=request_body(request)
            ) as response:
                if response.status_code != 200:
                    await response.aread()
                    raise self._refused(response.text)
                async for chunk in response.aiter_raw():
                    for data in sse.feed(chunk):
                        for event in reply.read(data):
                            yield event
        except httpx.TransportError as error:
            raise await self._died(error) from error
        except StreamFailed as error:
            raise self._refused(json.dumps({"error": error.args[0]})) from error
        for event in reply.end():
            yield event

    def _open_client(self) -> httpx.AsyncClient:
        if self._client is None:
            raise EngineDied(
                f"{self._model.name} is not loaded any more.", "Load it again from Models."
            )
        return self._client

    def _refused(self, body: str) -> RequestRefused:
        try:
            error = table(table(json.loads(body)).get("error"))
        except ValueError:
            error = table(None)
        message = text(error.get("message")) or body
        if error.get("type") == "exceed_context_size_error":
            return RequestRefused(
                f"The conversation is {error.get('n_prompt_tokens')} tokens long and the context "
                f"holds {error.get('n_ctx')}.",
                "Begin a new conversation, or load the model with a larger context.",
            )
        return RequestRefused(
            f"llama.cpp refused the request: {clean_line(message, 300)}",
            "Change the message or the sampling parameters and send again.",
        )

    async def _died(self, error: httpx.TransportError) -> EngineDied | RequestRefused:
        import httpx

        child = self._child
        if child is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), 2.0)
            if child.running and isinstance(error, httpx.TimeoutException):
                return RequestRefused(
                    "llama.cpp does not answer.", "Wait, or unload the model and load it again."
                )
            if child.running:
                return RequestRefused(
                    "llama.cpp broke off the connection.", "Send the message again."
                )
        lines = self.log()
        reason = reason_of(lines[-_TAIL_LINES:])
        words = reason or exit_words(child.exit_code if child else None)
        return EngineDied(
            f"llama.cpp stopped while it held {self._model.name}: {words}.",
            "Send again: the model is loaded anew.",
            lines[-_TAIL_LINES:],
        )

    async def stop(self) -> None:
        """End the server, reap it and remove its socket. Safe to call twice."""
        if self._client is not None:
            client, self._client = self._client, None
            with contextlib.suppress(Exception):
                await client.aclose()
        if self._child is not None:
            await self._child.stop(grace_s=1.0)
        if self._directory is not None:
            self._directory.remove()


def exit_words(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "it does not answer"
    if code < 0:
        try:
            return f"it was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"it was ended by signal {-code}"
    return f"it ended with code {code}"


def _next_step(reason: str) -> str:
    if "memory ran out" in reason:
        return "Choose a smaller context or another KV type, or close what else uses the card."
    if "SIGKILL" in reason:
        return "The system may have ended it for want of memory: choose a smaller context or model."
    if "does not know" in reason:
        return "Use a newer llama-server, named in the settings, or another file of this model."
    if " cache " in reason:
        return "Load it with the KV type f16, or with flash attention on."
    return "Read the log, then check that the file is whole, or choose another model."
