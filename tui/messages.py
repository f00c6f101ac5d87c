"""Messages between the jobs, the app and its screens.

Intent goes up (``…Asked``), results come down (past tense). All payloads are frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.types import (
    EngineInfo,
    LoadedModel,
    LoadProgress,
    LocalModel,
    Plan,
    Probe,
)
from modeldeck.tui.actions import Place
from modeldeck.tui.state import Options

if TYPE_CHECKING:
    from modeldeck.engines.doctor.types import Finding
    from modeldeck.engines.fit.options import FitOptions
    from modeldeck.engines.fit.types import Card, Verdict
    from modeldeck.engines.hardware.types import HardwareSnapshot
    from modeldeck.tui.next_prompt import NextPrompt
    from modeldeck.tui.reply import ReplyEnd, ReplyUpdate
    from modeldeck.tui.talk_events import TalkEvent


@dataclass
class ChatAsked(Message):
    """The user wants to chat with this model: load it unless it is loaded, go to the chat."""

    model_id: str


@dataclass
class UnloadAsked(Message):
    """The user wants the loaded model's memory back."""


@dataclass
class RescanAsked(Message):
    """The user wants the model folders read again."""


@dataclass
class ProbeAsked(Message):
    """The user wants the engines looked for again."""


@dataclass
class PlaceAsked(Message):
    """The user wants to go to another place."""

    place: Place


@dataclass
class OptionsAsked(Message):
    """The user wants verdicts (and the next load) for another context or KV type."""

    options: Options


@dataclass
class CardAsked(Message):
    """The user wants the verdicts for the card of this name; empty: for the one that is here."""

    name: str


@dataclass
class DemoAsked(Message):
    """The user wants to chat with the packaged demo model."""


@dataclass
class CommandAsked(Message):
    """The user wants the command that starts this model, with these options if there are any."""

    model_id: str
    options: FitOptions | None = None


@dataclass
class LoadOptionsAsked(Message):
    """The user wants to change how this model is loaded."""

    model_id: str


@dataclass
class GridAsked(Message):
    """The user wants every quantisation of this model at every context."""

    model_id: str


@dataclass
class LoadAsked(Message):
    """The user wants this model loaded like that, and to chat with it."""

    model_id: str
    options: FitOptions


@dataclass
class EngineWished(Message):
    """The user wants an engine for a model; None leaves it to the policy."""

    model_id: str
    engine: str | None


@dataclass
class TalkTold(Message, bubble=False):
    """What the conversation tells the chat."""

    event: TalkEvent


@dataclass
class PromptCounted(Message, bubble=False):
    """How much of the context the next prompt will take."""

    next_prompt: NextPrompt


@dataclass
class LinkPaced(Message):
    """What streams is drawn only every ``slow_ms`` from now on; None when the terminal keeps up."""

    slow_ms: int | None


@dataclass
class DoctorAsked(Message):
    """The user wants to know what is wrong with this machine."""


@dataclass
class MachineExamined(Message):
    """What the doctor found, the worst first, and how it stands in a sentence."""

    findings: tuple[Finding, ...]
    summary: str


@dataclass
class NoticeGiven(Message):
    """A sentence for the notice line of the screen shown."""

    cause: str
    next_step: str = ""
    failure: bool = False


@dataclass
class CopyAsked(Message):
    """Text for the user's clipboard, and what to call it in the notice."""

    text: str
    what: str


@dataclass
class ModelsScanned(Message):
    """The models found so far, in the order found; ``finished`` with the last batch."""

    models: tuple[LocalModel, ...]
    notes: tuple[str, ...]
    finished: bool

    def can_replace(self, message: Message) -> bool:
        """Only the newest batch counts: it holds the older ones."""
        return isinstance(message, ModelsScanned)


class FoldersChanged(Message):
    """Something came, went or changed in the folders of models."""

    def can_replace(self, message: Message) -> bool:
        """One says it all."""
        return isinstance(message, FoldersChanged)


@dataclass
class WatchPolls(Message):
    """Changes in the folders are noticed late; ``why`` is a sentence."""

    why: str


@dataclass
class ModelsJudged(Message):
    """Verdicts by model id, for one card and one set of options."""

    verdicts: Mapping[str, Verdict]
    card: Card


@dataclass
class EnginesFound(Message):
    """Every engine there is, and sentences about those that could not be made."""

    infos: tuple[EngineInfo, ...]
    problems: tuple[str, ...]


@dataclass
class EngineProbed(Message):
    """What one engine said of itself."""

    info: EngineInfo
    probe: Probe


@dataclass
class HardwareSampled(Message):
    """The newest snapshot of GPU and host, and the memory of the loaded engine's process."""

    snapshot: HardwareSnapshot
    engine_memory_bytes: int | None

    def can_replace(self, message: Message) -> bool:
        """Only the newest snapshot counts."""
        return isinstance(message, HardwareSampled)


@dataclass
class LoadProgressed(Message):
    """A step of the load under way."""

    model: LocalModel
    progress: LoadProgress

    def can_replace(self, message: Message) -> bool:
        """Only the newest step counts."""
        return isinstance(message, LoadProgressed)


@dataclass
class LoadEnded(Message):
    """A load ended: ``loaded`` and no error, an error, or neither when it was called off.

    ``plan`` is what was tried; None when it did not come so far.
    """

    model: LocalModel
    loaded: LoadedModel | None
    error: ModeldeckError | None = None
    plan: Plan | None = None


@dataclass
class RetryAsked(Message):
    """The user wants the load that failed tried again, with settings that fit."""


@dataclass
class Unloaded(Message):
    """No model is loaded any more."""

    model: LocalModel
    error: ModeldeckError | None = None


@dataclass
class ReplyMoved(Message, bubble=False):
    """More of the answer being written."""

    message_id: int
    update: ReplyUpdate


@dataclass
class ReplyEnded(Message, bubble=False):
    """The answer is complete, stopped or failed."""

    message_id: int
    end: ReplyEnd
