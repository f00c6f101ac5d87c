"""What every engine offers. Small, async, generous: an absent capability hides its feature.

The required part is ``Engine``. Each optional ability is a protocol of its own; an engine has the
ability when it has the methods (``isinstance`` against the runtime-checkable protocol), so nothing
is declared twice and nothing raises "not supported" at the user.

Engines are made without arguments by their entry point in the group ``modeldeck.engines``::

    [project.entry-points."modeldeck.engines"]
    my_engine = "my_package:MyEngine"
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from modeldeck.engines.buffers import Buffer
from modeldeck.engines.chat import ChatEvent, ChatMessage, ChatRequest
from modeldeck.engines.types import EngineInfo, LoadedModel, LoadProgress, LocalModel, Plan, Probe

EngineSettings = Mapping[str, object]
OnProgress = Callable[[LoadProgress], None]


def ignore_progress(progress: LoadProgress) -> None:
    """The ``on_progress`` of callers who do not watch."""


@runtime_checkable
class Engine(Protocol):
    """An inference engine. All methods may be called from one event loop only.

    ``info`` is available without any I/O. ``configure`` receives the user's
    ``[engines.NAME]`` table before anything else is called; unknown keys are ignored.
    """

    @property
    def info(self) -> EngineInfo:
        """Identity: name, title, formats."""
        ...

    def configure(self, settings: EngineSettings) -> None:
        """Take the user's settings. Raises SettingsError for a value that cannot work."""
        ...

    async def probe(self) -> Probe:
        """Whether the engine can be used here. Never raises; a failure is a ``problem``."""
        ...

    async def models(self) -> Sequence[LoadedModel]:
        """The models this engine holds loaded now."""
        ...

    async def load(
        self, model: LocalModel, plan: Plan, on_progress: OnProgress = ignore_progress
    ) -> LoadedModel:
        """Load ``model`` exactly as ``plan`` says and return when it is ready to chat.

        Cancelling the call stops the load and returns all its memory. Raises EngineMissing,
        LoadFailed.
        """
        ...

    async def unload(self, instance: str) -> None:
        """Return the memory of ``instance``. Done when it really is free; unknown is no error."""
        ...

    def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Answer as a stream that ends with ``Usage`` (when known) and then ``Done``.

        Closing the generator stops the engine's work. Raises EngineDied, RequestRefused while
        iterating; what was streamed before stands.
        """
        ...

    async def close(self) -> None:
        """Unload everything and reap every child. Safe to call twice."""
        ...


@runtime_checkable
class Tokenizes(Protocol):
    """Can cut text into the loaded model's tokens."""

    async def tokenize(self, instance: str, text: str) -> tuple[int, ...]:
        """Token ids of ``text`` without special tokens added."""
        ...

    async def count_tokens(self, instance: str, messages: Sequence[ChatMessage]) -> int:
        """Prompt length in tokens of a conversation, chat template and images included.

        Raises RequestRefused where it cannot say what the images take: it does not guess.
        """
        ...


@runtime_checkable
class HasMetrics(Protocol):
    """Can report counters of a loaded model."""

    async def metrics(self, instance: str) -> Mapping[str, float]:
        """Counter name to value, as the engine names them."""
        ...


@runtime_checkable
class ReportsBuffers(Protocol):
    """Can say what memory it took for a loaded model."""

    def buffers(self, instance: str) -> tuple[Buffer, ...]:
        """What it said it allocated while it loaded ``instance``, by device and kind.

        Empty when it did not say. Never raises.
        """
        ...


@runtime_checkable
class AnswersPings(Protocol):
    """Can say whether it is there at all, also while it is busy."""

    async def answers(self, instance: str) -> bool:
        """Whether the engine of ``instance`` answers. Never raises; takes two seconds at most."""
        ...


@runtime_checkable
class LaunchCommand(Protocol):
    """Can say the exact command a person would type for the same load."""

    def launch_command(self, model: LocalModel, plan: Plan) -> tuple[str, ...]:
        """The command as words, secrets left out; empty when none does the same."""
        ...


@runtime_checkable
class KeepsLog(Protocol):
    """Keeps what its processes wrote."""

    def log(self) -> tuple[str, ...]:
        """The newest lines of all its processes, oldest first, cleaned, bounded."""
        ...
