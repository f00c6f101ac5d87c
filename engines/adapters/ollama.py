"""Ollama, as it runs on this machine or another: its models, in its own memory.

Only models of Ollama's own store: it loads by name. The type of the KV cache and the slots are
the server's (``envconfig/config.go``), so a plan that has others is refused and never rewritten.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from modeldeck.engines.adapters.json_values import count, items, text
from modeldeck.engines.adapters.missing import missing_probe
from modeldeck.engines.adapters.ollama_address import address_of
from modeldeck.engines.adapters.planned import require_planned
from modeldeck.engines.chat import ChatEvent, ChatRequest
from modeldeck.engines.contract import EngineSettings, OnProgress, ignore_progress
from modeldeck.engines.errors import (
    EngineDied,
    EngineError,
    EngineMissing,
    LoadFailed,
    RequestRefused,
    SettingsError,
)
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import (
    Device,
    EngineInfo,
    LoadedModel,
    LoadProgress,
    LocalModel,
    ModelFormat,
    Plan,
    Probe,
    Source,
)

if TYPE_CHECKING:
    from modeldeck.engines.adapters.ollama_client import OllamaClient

ENGINE: Final = "ollama"
_KNOCK_S: Final = 0.5
_UNLOAD_S: Final = 30.0
_AFTER_DEATH_S: Final = 3.0
_POLL_S: Final = 0.05
_SILENCE_S: Final = 600.0
_START: Final = "ollama serve"
_GET_IT: Final = "curl -fsSL https://ollama.com/install.sh | sh"


class Held(NamedTuple):
    """A model that we had Ollama load: its name there, and what it was loaded as."""

    name: str
    loaded: LoadedModel


class OllamaEngine:
    """Has a running Ollama load models of its store; what others had it load is left alone."""

    def __init__(self) -> None:
        self._url = ""
        self._key_env = ""
        self._keep_alive = "30m"
        self._kv_type = ""
        self._silence_s = _SILENCE_S
        self._held: dict[str, Held] = {}
        self._made: OllamaClient | None = None

    @property
    def info(self) -> EngineInfo:
        """Ollama, GGUF out of its own store."""
        return EngineInfo(
            name=ENGINE,
            title="Ollama",
            formats=frozenset({ModelFormat.GGUF}),
            summary="A running Ollama, which loads the models of its own store.",
            source=Source.OLLAMA,
        )

    def configure(self, settings: EngineSettings) -> None:
        """Take ``url``, ``api_key_env``, ``keep_alive``, ``kv_type`` and ``silence_seconds``.

        Raises:
            SettingsError: one of them cannot work.
        """
        self._url = _word(settings, "url", self._url)
        if self._url and not _is_web_address(self._url):
            raise SettingsError(
                f"[engines.{ENGINE}] url is no web address: {clean_line(self._url, 80)}.",
                "Give one like http://127.0.0.1:11434, or take the line out.",
            )
        self._key_env = _word(settings, "api_key_env", self._key_env)
        self._keep_alive = _word(settings, "keep_alive", self._keep_alive)
        self._kv_type = _word(settings, "kv_type", self._kv_type)
        silence = settings.get("silence_seconds", self._silence_s)
        if isinstance(silence, bool) or not isinstance(silence, int | float) or silence <= 0:
            raise SettingsError(
                f"[engines.{ENGINE}] silence_seconds is no number of seconds.",
                f"Give one like {_SILENCE_S:g}, or take the line out.",
            )
        self._silence_s = float(silence)

    @property
    def _address(self) -> str:
        return self._url or address_of(os.environ)

    def _client(self) -> OllamaClient:
        from modeldeck.engines.adapters.ollama_client import OllamaClient  # with httpx: 60 ms

        if self._made is None:
            key = os.environ.get(self._key_env, "") if self._key_env else ""
            self._made = OllamaClient(self._address, key, self._silence_s)
        return self._made

    async def _require(self) -> None:
        """Raises EngineMissing when nobody listens. Costs no HTTP client."""
        parts = urlsplit(self._address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            async with asyncio.timeout(_KNOCK_S):
                _, writer = await asyncio.open_connection(parts.hostname, port)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        except (OSError, TimeoutError, UnicodeError) as error:
            if await asyncio.to_thread(shutil.which, "ollama"):
                raise EngineMissing(
                    "Ollama is installed and does not run.",
                    f"Run: {_START}",
                    command=_START,
                ) from error
            raise EngineMissing(
                f"No Ollama answers at {clean_line(self._address, 80)}.",
                f"Run: {_GET_IT}",
                command=_GET_IT,
            ) from error

    async def probe(self) -> Probe:
        """Whether an Ollama answers; another program that speaks like one is told apart."""
        where = clean_line(self._address, 80)
        try:
            await self._require()
        except EngineMissing as missing:
            installed = missing.command == _START
            return missing_probe(missing)._replace(installed=installed)
        try:
            build = await self._client().identify()
        except EngineError as error:
            return Probe(False, where=where, problem=error.cause, next_step=error.next_step)
        device = Device("auto", "Ollama takes a GPU where it finds one", None, None)
        return Probe(True, build=build, where=where, devices=(device,))

    async def models(self) -> Sequence[LoadedModel]:
        """Those we had it load and that it still holds."""
        if not self._held:
            return ()
        try:
            listed = await self._client().loaded()
        except EngineDied:
            listed = {}
        except RequestRefused:  # too busy to say is not unloaded
            return tuple(held.loaded for held in self._held.values())
        self._held = {key: held for key, held in self._held.items() if held.name in listed}
        return tuple(held.loaded for held in self._held.values())

    async def load(
        self, model: LocalModel, plan: Plan, on_progress: OnProgress = ignore_progress
    ) -> LoadedModel:
        """Have it load ``model`` and check that it did as planned.

        Raises:
            EngineMissing: no Ollama answers.
            LoadFailed: it refuses, or cannot do what the plan says.
        """
        from modeldeck.engines.adapters.ollama_wire import load_body

        begin_ns = time.monotonic_ns()
        name = name_in_store(model)
        self._require_possible(model, plan)
        await self._require()
        on_progress(LoadProgress("loading", 0.0))
        client = self._client()
        try:
            await client.ask("/api/generate", load_body(name, plan, self._keep_alive), patient=True)
            loaded = await self._describe(name, model, plan, begin_ns)
        except EngineError as error:
            await self._forget(name)
            if isinstance(error, LoadFailed):
                raise
            raise LoadFailed(
                f"Ollama could not load {clean_line(name, 80)}: {error.cause}",
                "Read Ollama's log; a smaller context or another model may do.",
            ) from error
        except asyncio.CancelledError:
            await self._forget(name)
            raise
        self._held = {key: held for key, held in self._held.items() if held.name != name}
        self._held[loaded.instance] = Held(name, loaded)
        on_progress(LoadProgress("ready", 1.0))
        return loaded

    def _require_possible(self, model: LocalModel, plan: Plan) -> None:
        """Raises LoadFailed for what cannot be said to Ollama in a request."""
        kv_type = self._kv_type or os.environ.get("OLLAMA_KV_CACHE_TYPE", "") or "f16"
        impossible = ""
        if not name_in_store(model):
            impossible = f"{model.name} is not in Ollama's store"
        elif plan.kv_type != kv_type:
            impossible = f"its KV cache is {kv_type} and the plan wants {plan.kv_type}"
        elif plan.slots != 1:
            impossible = "how many slots it has is set where it is started"
        elif plan.cpu_moe_blocks or plan.split or plan.swa_full or plan.draft or plan.adapters:
            impossible = "experts, splits, drafts and adapters cannot be set for one load"
        if impossible:
            raise LoadFailed(
                f"Ollama cannot do that: {clean_line(impossible)}.",
                "Choose another engine for this model, or other options. "
                "Of a server with another KV type say kv_type under [engines.ollama].",
            )

    async def _describe(
        self, name: str, model: LocalModel, plan: Plan, begin_ns: int
    ) -> LoadedModel:
        from modeldeck.engines.adapters.ollama_wire import device_of

        client = self._client()
        entry = (await client.loaded()).get(name, {})
        context = count(entry.get("context_length")) or None
        require_planned(plan, context, None, ())
        shown = await client.ask("/api/show", {"model": name})
        return LoadedModel(
            instance=secrets.token_hex(4),
            engine=ENGINE,
            engine_build=await client.identify(),
            model=model,
            plan=plan,
            context_tokens=context or plan.context_tokens,
            pid=None,
            load_ns=time.monotonic_ns() - begin_ns,
            device=device_of(entry),
            sees_images="vision" in map(text, items(shown.get("capabilities"))),
        )

    async def unload(self, instance: str) -> None:
        """Have it unload; done when it does not list the model any more."""
        held = self._held.pop(instance, None)
        if held is not None:
            await self._forget(held.name)

    async def _forget(self, name: str, patience_s: float = _UNLOAD_S) -> None:
        """Have Ollama unload, and see to it that it did; it may be gone itself."""
        from modeldeck.engines.adapters.ollama_wire import unload_body

        with contextlib.suppress(EngineError, TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._client().ask("/api/generate", unload_body(name), patient=True)
                for _ in range(round(patience_s / _POLL_S)):
                    if name not in await self._client().loaded():
                        return
                    await asyncio.sleep(_POLL_S)

    async def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Stream one reply. Closing the generator hangs up, which stops Ollama.

        Raises:
            EngineDied: Ollama or the process with the weights ended.
            RequestRefused: it said no, or it dropped a part of the conversation.
        """
        held = self._held.get(request.instance)
        if held is None:
            raise EngineDied("The model is not loaded any more.", "Load it again from Models.")
        try:
            replying = self._client().chat(held.name, held.loaded.plan, request, self._keep_alive)
            async with contextlib.aclosing(replying) as events:
                async for event in events:
                    yield event
        except EngineDied:
            if self._held.pop(request.instance, None) is not None:
                await self._forget(held.name, _AFTER_DEATH_S)
            raise

    async def answers(self, instance: str) -> bool:
        """Whether Ollama answers at all (``GET /api/version``)."""
        if instance not in self._held:
            return False
        try:
            async with asyncio.timeout(2.0):
                await self._client().ask("/api/version")
        except (EngineDied, TimeoutError):
            return False
        except RequestRefused:
            return True
        return True

    async def close(self) -> None:
        """Unload what we had it load."""
        for instance in list(self._held):
            await self.unload(instance)
        if self._made is not None:
            made, self._made = self._made, None
            await made.close()


def name_in_store(model: LocalModel) -> str:
    """What Ollama calls ``model``; empty when it does not have it."""
    if model.source is Source.OLLAMA:
        return model.name
    return next((seen.name for seen in model.also if seen.source is Source.OLLAMA), "")


def _word(settings: Mapping[str, object], key: str, otherwise: str) -> str:
    value = settings.get(key, otherwise)
    if not isinstance(value, str):
        raise SettingsError(f"[engines.{ENGINE}] {key} is no text.", "Put it in quotes.")
    return value.strip()


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
