"""What engines share that keep a process of their own for each loaded model."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Generic, Protocol, TypeVar

from modeldeck.engines.buffers import Buffer
from modeldeck.engines.chat import ChatEvent, ChatRequest
from modeldeck.engines.contract import OnProgress
from modeldeck.engines.errors import EngineDied
from modeldeck.engines.types import LoadedModel


class Instance(Protocol):
    """A process that holds one model, from start to reaped."""

    id: str
    loaded: LoadedModel | None
    buffers: tuple[Buffer, ...]

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        ...

    def log(self) -> tuple[str, ...]:
        """What it wrote, newest last."""
        ...

    async def load(self, on_progress: OnProgress) -> LoadedModel:
        """Start it and wait until it is ready; leaves nothing behind when it fails."""
        ...

    def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Stream one reply."""
        ...

    async def stop(self) -> None:
        """End and reap it. Safe to call twice."""
        ...


Held = TypeVar("Held", bound=Instance)


class HoldsInstances(Generic[Held]):
    """The part of the contract that is the same for each such engine."""

    def __init__(self) -> None:
        self._instances: dict[str, Held] = {}
        self._last_log: tuple[str, ...] = ()

    async def models(self) -> Sequence[LoadedModel]:
        """The models whose processes are alive; what has died is cleared away."""
        for instance_id, instance in list(self._instances.items()):
            if not instance.running:
                self._last_log = instance.log()
                del self._instances[instance_id]
                await instance.stop()
        return tuple(i.loaded for i in self._instances.values() if i.loaded is not None)

    async def _hold(self, instance: Held, on_progress: OnProgress) -> LoadedModel:
        """Load ``instance`` and keep it; its log stays whatever comes of it."""
        try:
            loaded = await instance.load(on_progress)
        finally:
            self._last_log = instance.log()
        self._instances[instance.id] = instance
        return loaded

    def buffers(self, instance: str) -> tuple[Buffer, ...]:
        """What was allocated for ``instance``, as its log said; empty for one that is not held."""
        held = self._instances.get(instance)
        return held.buffers if held is not None else ()

    async def unload(self, instance: str) -> None:
        """End the process of ``instance``; done when it is reaped."""
        held = self._instances.pop(instance, None)
        if held is not None:
            self._last_log = held.log()
            await held.stop()

    def _instance(self, instance: str) -> Held:
        held = self._instances.get(instance)
        if held is None:
            raise EngineDied("The model is not loaded any more.", "Load it again from Models.")
        return held

    async def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Stream one reply. Raises EngineDied, RequestRefused."""
        async with contextlib.aclosing(self._instance(request.instance).chat(request)) as events:
            async for event in events:
                yield event

    def log(self) -> tuple[str, ...]:
        """What the processes wrote; of the last one when none runs."""
        lines = [line for held in self._instances.values() for line in held.log()]
        return tuple(lines) or self._last_log

    async def close(self) -> None:
        """End every process."""
        held, self._instances = list(self._instances.values()), {}
        await asyncio.gather(*(instance.stop() for instance in held))
