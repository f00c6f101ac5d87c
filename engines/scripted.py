"""An engine that follows a script: for tests, and for whoever writes a plug-in or a face.

It keeps the whole contract with no model, no process and no chance: the same script gives the same
events. What goes wrong goes wrong on purpose.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from modeldeck.engines.chat import (
    ChatEvent,
    ChatMessage,
    ChatRequest,
    Done,
    PrefillProgress,
    ReasoningDelta,
    StopReason,
    TextDelta,
    Timings,
    Usage,
)
from modeldeck.engines.contract import EngineSettings, OnProgress, ignore_progress
from modeldeck.engines.errors import EngineDied, EngineMissing, LoadFailed, RequestRefused
from modeldeck.engines.text import clean, clean_line
from modeldeck.engines.types import (
    Device,
    EngineInfo,
    LoadedModel,
    LoadProgress,
    LocalModel,
    ModelFormat,
    Plan,
    Probe,
)

Sleep = Callable[[float], Awaitable[None]]

IMAGE_TOKENS = 16
"""Tokens of an image, whatever its size."""

_LOG_LINES = 200
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Script:
    """What a ``ScriptedEngine`` does.

    Attributes:
        answer: the pieces of every answer, one token each.
        reasoning: pieces of reasoning before it, one token each.
        load: the steps that a load reports.
        load_step_ns: time of each of them.
        prefill_tokens: prompt tokens in one step of prefill.
        prefill_token_ns: time of each prompt token.
        decode_token_ns: time between two tokens.
        missing: why the engine is not here; empty when it is.
        broken: names of the models that cannot be loaded.
        refuses: why every chat is refused; empty when none is.
        dies_after: tokens after which the engine dies in mid-reply; None for never.
    """

    answer: tuple[str, ...] = ("Hello", ",", " deck", ".")
    reasoning: tuple[str, ...] = ()
    load: tuple[LoadProgress, ...] = (
        LoadProgress("starting", 0.0),
        LoadProgress("reading weights", 0.3),
        LoadProgress("reading weights", 0.9),
        LoadProgress("ready", 1.0),
    )
    load_step_ns: int = 1_000_000
    prefill_tokens: int = 64
    prefill_token_ns: int = 10_000
    decode_token_ns: int = 1_000_000
    missing: str = ""
    broken: frozenset[str] = field(default_factory=frozenset[str])
    refuses: str = ""
    dies_after: int | None = None


class ScriptedEngine:
    """An engine whose every word and second is written in a ``Script``.

    It sees images with a model that has a projector. A token is a byte of UTF-8 where text is
    counted, and a piece of the script where it is made.
    """

    def __init__(
        self, script: Script | None = None, *, name: str = "scripted", sleep: Sleep = asyncio.sleep
    ) -> None:
        """Follow ``script``.

        Args:
            script: what to do; the default is a short, happy life.
            name: the engine's name.
            sleep: waits so many seconds; one that returns at once makes all this timeless.
        """
        self.script = script or Script()
        self.settings: EngineSettings = {}
        self._name = name
        self._sleep = sleep
        self._loaded: dict[str, LoadedModel] = {}
        self._counters: dict[str, dict[str, float]] = {}
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._loads = 0

    @property
    def info(self) -> EngineInfo:
        """The name it was given, GGUF."""
        return EngineInfo(
            self._name, "Scripted", frozenset({ModelFormat.GGUF}), "Follows a script."
        )

    def configure(self, settings: EngineSettings) -> None:
        """Keep the settings in ``settings``; none of them means anything here."""
        self.settings = dict(settings)

    async def probe(self) -> Probe:
        """Available, unless the script says it is missing."""
        if self.script.missing:
            step = "Write another script."
            return Probe(False, problem=self.script.missing, next_step=step, installed=False)
        return Probe(
            True, build="1", where="this process", devices=(Device("CPU", "", None, None),)
        )

    async def models(self) -> Sequence[LoadedModel]:
        """What is loaded, in the order of loading."""
        return tuple(self._loaded.values())

    async def load(
        self, model: LocalModel, plan: Plan, on_progress: OnProgress = ignore_progress
    ) -> LoadedModel:
        """Report the script's steps. Raises EngineMissing, LoadFailed where it says so."""
        script = self.script
        if script.missing:
            raise EngineMissing(script.missing, "Write another script.")
        broken = model.name in script.broken
        for step in script.load[:-1] if broken else script.load:
            self._log.append(clean_line(f"{model.name}: {step.stage}"))
            on_progress(step)
            await self._sleep(script.load_step_ns / _NS)
        if broken:
            raise LoadFailed(
                f"The script has {clean_line(model.name)} broken.",
                "Choose another model.",
                self.log(),
            )
        self._loads += 1
        loaded = LoadedModel(
            instance=f"{self._name}-{self._loads}",
            engine=self._name,
            engine_build="1",
            model=model,
            plan=plan,
            context_tokens=plan.context_tokens,
            pid=None,
            load_ns=script.load_step_ns * len(script.load),
            device="CPU",
            sees_images=model.projector is not None,
        )
        self._loaded[loaded.instance] = loaded
        self._counters[loaded.instance] = {"prompt_tokens": 0, "decoded_tokens": 0}
        return loaded

    async def unload(self, instance: str) -> None:
        """Forget ``instance``."""
        self._loaded.pop(instance, None)
        self._counters.pop(instance, None)

    def die(self, instance: str) -> None:
        """Let the engine of ``instance`` die, as a crash would; a chat with it breaks off."""
        if self._loaded.pop(instance, None):
            self._log.append(f"{instance} died")

    def _alive(self, instance: str) -> LoadedModel:
        loaded = self._loaded.get(instance)
        if loaded is None:
            raise EngineDied(
                "The scripted engine has stopped.", "Load the model again.", self.log()
            )
        return loaded

    async def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Say what the script says. Raises EngineDied, RequestRefused where it says so."""
        script, loaded = self.script, self._alive(request.instance)
        prompt = await self.count_tokens(request.instance, request.messages)
        if script.refuses:
            raise RequestRefused(script.refuses, "Ask something else.")
        if not loaded.sees_images and any(message.images for message in request.messages):
            raise RequestRefused("This model sees no images.", "Ask without one.")
        if prompt > loaded.context_tokens:
            raise RequestRefused(
                f"The conversation is {prompt} tokens long and the context holds "
                f"{loaded.context_tokens}.",
                "Begin a new conversation, or load the model with a larger context.",
            )
        counters = self._counters[request.instance]
        prefill_ns = 0
        for begin in range(0, prompt, script.prefill_tokens):
            done = min(begin + script.prefill_tokens, prompt)
            await self._sleep((done - begin) * script.prefill_token_ns / _NS)
            self._alive(request.instance)
            counters["prompt_tokens"] += done - begin
            prefill_ns = done * script.prefill_token_ns
            yield PrefillProgress(done, prompt, 0, prefill_ns)

        pieces: list[tuple[type[ReasoningDelta | TextDelta], str]] = [
            *((ReasoningDelta, piece) for piece in script.reasoning),
            *((TextDelta, piece) for piece in script.answer),
        ]
        limit = request.sampling.max_tokens
        room = loaded.context_tokens - prompt
        most = room if limit is None else min(limit, room)
        timings = Timings("engine", prompt, 0, prefill_ns, 0, 0)
        for number, (kind, piece) in enumerate(pieces[:most], start=1):
            if script.dies_after is not None and number > script.dies_after:
                self.die(request.instance)
            if number > 1:
                await self._sleep(script.decode_token_ns / _NS)
            self._alive(request.instance)
            counters["decoded_tokens"] += 1
            decode_ns = (number - 1) * script.decode_token_ns
            timings = Timings("engine", prompt, 0, prefill_ns, number, decode_ns)
            yield kind(clean(piece), timings)
        reason: StopReason = "length" if len(pieces) > most else "stop"
        yield Usage(prompt, timings.decoded_tokens, 0, timings)
        yield Done(reason)

    async def tokenize(self, instance: str, text: str) -> tuple[int, ...]:
        """The bytes of ``text`` as UTF-8."""
        self._alive(instance)
        return tuple(text.encode("utf-8", "replace"))

    async def count_tokens(self, instance: str, messages: Sequence[ChatMessage]) -> int:
        """Bytes of every message, one token for each role, and some for each image."""
        tokens = [await self.tokenize(instance, message.content) for message in messages]
        images = sum(len(message.images) for message in messages)
        return sum(len(each) + 1 for each in tokens) + images * IMAGE_TOKENS

    async def metrics(self, instance: str) -> Mapping[str, float]:
        """Tokens computed and made by ``instance`` so far."""
        self._alive(instance)
        return dict(self._counters[instance])

    def launch_command(self, model: LocalModel, plan: Plan) -> tuple[str, ...]:
        """Words that look like a command."""
        return (self._name, str(model.path), f"--context={plan.context_tokens}")

    def log(self) -> tuple[str, ...]:
        """What it did, oldest first."""
        return tuple(self._log)

    async def close(self) -> None:
        """Forget everything that is loaded."""
        self._loaded.clear()
        self._counters.clear()
