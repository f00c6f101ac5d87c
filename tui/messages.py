"""Messages between the jobs, the app and its screens.

Intent goes up (``…Asked``), results come down (past tense). All payloads are frozen. The classes
are written out: each start makes all of them, and a dataclass takes ten times as long to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.types import EngineInfo, LoadedModel, LoadProgress, LocalModel, Plan, Probe
from modeldeck.tui.actions import Place
from modeldeck.tui.state import Options

if TYPE_CHECKING:
    from textual.screen import Screen

    from modeldeck.engines.fit.options import FitOptions
    from modeldeck.engines.fit.types import Card, Verdict
    from modeldeck.engines.hardware.types import HardwareSnapshot
    from modeldeck.engines.store.profiles import Profiled
    from modeldeck.tui.context_use import ContextUse
    from modeldeck.tui.learned_memory import MemoryLesson
    from modeldeck.tui.next_prompt import NextPrompt
    from modeldeck.tui.reply import ReplyEnd, ReplyUpdate
    from modeldeck.tui.talk_events import TalkEvent


class ChatAsked(Message):
    """The user wants to chat with this model: load it unless it is loaded, go to the chat."""

    def __init__(self, model_id: str) -> None:
        super().__init__()
        self.model_id = model_id


class UnloadAsked(Message):
    """The user wants the loaded model's memory back."""


class RescanAsked(Message):
    """The user wants the model folders read again."""


class ProbeAsked(Message):
    """The user wants the engines looked for again."""


class PlaceAsked(Message):
    """The user wants to go to another place."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


class OptionsAsked(Message):
    """The user wants verdicts (and the next load) for another context or KV type."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options


class CardAsked(Message):
    """The user wants the verdicts for the card of this name; empty: for the one that is here."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class DemoAsked(Message):
    """The user wants to chat with the packaged demo model."""


class CommandAsked(Message):
    """The user wants the command that starts this model, with these options if there are any."""

    def __init__(self, model_id: str, options: FitOptions | None = None) -> None:
        super().__init__()
        self.model_id = model_id
        self.options = options


class LoadOptionsAsked(Message):
    """The user wants to change how this model is loaded."""

    def __init__(self, model_id: str) -> None:
        super().__init__()
        self.model_id = model_id


class OverlayAsked(Message):
    """The user wants to read something over the place shown."""

    def __init__(self, overlay: Screen[None]) -> None:
        super().__init__()
        self.overlay = overlay


class DeletionAsked(Message):
    """The user wants this model deleted; asked for again, without being asked back."""

    def __init__(self, model_id: str) -> None:
        super().__init__()
        self.model_id = model_id


class PullsAsked(Message):
    """The user wants these targets downloaded."""

    def __init__(self, targets: tuple[str, ...]) -> None:
        super().__init__()
        self.targets = targets


class AdaptersFound(Message):
    """The adapters on this machine that are for a model."""

    def __init__(self, model: LocalModel, adapters: tuple[Path, ...]) -> None:
        super().__init__()
        self.model = model
        self.adapters = adapters


class GridAsked(Message):
    """The user wants every quantisation of this model at every context."""

    def __init__(self, model_id: str) -> None:
        super().__init__()
        self.model_id = model_id


class ProfilesChanged(Message):
    """How models are loaded was kept, or forgotten."""

    def __init__(self, profiles: Profiled) -> None:
        super().__init__()
        self.profiles = profiles


class LoadAsked(Message):
    """The user wants this model loaded like that, and to chat with it."""

    def __init__(self, model_id: str, options: FitOptions) -> None:
        super().__init__()
        self.model_id = model_id
        self.options = options


class EngineWished(Message):
    """The user wants an engine for a model; None leaves it to the policy."""

    def __init__(self, model_id: str, engine: str | None) -> None:
        super().__init__()
        self.model_id = model_id
        self.engine = engine


class TalkTold(Message, bubble=False):
    """What the conversation tells the chat."""

    def __init__(self, event: TalkEvent) -> None:
        super().__init__()
        self.event = event


class PromptCounted(Message, bubble=False):
    """How much of the context the next prompt will take."""

    def __init__(self, next_prompt: NextPrompt) -> None:
        super().__init__()
        self.next_prompt = next_prompt


class ContextWeighed(Message, bubble=False):
    """What the conversation up to its message ``leaf`` takes, as the engine counted it."""

    def __init__(self, leaf: int, use: ContextUse) -> None:
        super().__init__()
        self.leaf = leaf
        self.use = use


class LinkPaced(Message):
    """What streams is drawn only every ``slow_ms`` from now on; None when the terminal keeps up."""

    def __init__(self, slow_ms: int | None) -> None:
        super().__init__()
        self.slow_ms = slow_ms


class DoctorAsked(Message):
    """The user wants to know what is wrong with this machine."""


class EngineTestAsked(Message):
    """The user wants to know whether an engine works here."""

    def __init__(self, engine: str) -> None:
        super().__init__()
        self.engine = engine


class NoticeGiven(Message):
    """A sentence for the notice line of the screen shown."""

    def __init__(self, cause: str, next_step: str = "", failure: bool = False) -> None:
        super().__init__()
        self.cause = cause
        self.next_step = next_step
        self.failure = failure


class CopyAsked(Message):
    """Text for the user's clipboard, and what to call it in the notice."""

    def __init__(self, text: str, what: str) -> None:
        super().__init__()
        self.text = text
        self.what = what


class ModelsScanned(Message):
    """The models found so far, in the order found; ``finished`` with the last batch."""

    def __init__(
        self, models: tuple[LocalModel, ...], notes: tuple[str, ...], finished: bool
    ) -> None:
        super().__init__()
        self.models = models
        self.notes = notes
        self.finished = finished

    def can_replace(self, message: Message) -> bool:
        """Only the newest batch counts: it holds the older ones."""
        return isinstance(message, ModelsScanned)


class FoldersChanged(Message):
    """Something came, went or changed in the folders of models."""

    def can_replace(self, message: Message) -> bool:
        """One says it all."""
        return isinstance(message, FoldersChanged)


class WatchPolls(Message):
    """Changes in the folders are noticed late; ``why`` is a sentence."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why


class ModelsJudged(Message):
    """Verdicts by model id, for one card and one set of options, with what loads here taught."""

    def __init__(
        self, verdicts: Mapping[str, Verdict], card: Card, memory: MemoryLesson | None
    ) -> None:
        super().__init__()
        self.verdicts = verdicts
        self.card = card
        self.memory = memory


class RowRested(Message):
    """The cursor rests on a model."""

    def __init__(self, model_id: str) -> None:
        super().__init__()
        self.model_id = model_id


class ModelSized(Message):
    """What llama.cpp's dry run made of one model's verdict."""

    def __init__(self, model_id: str, before: Verdict, verdict: Verdict) -> None:
        super().__init__()
        self.model_id = model_id
        self.before = before
        self.verdict = verdict


class EnginesFound(Message):
    """Every engine there is, and sentences about those that could not be made."""

    def __init__(self, infos: tuple[EngineInfo, ...], problems: tuple[str, ...]) -> None:
        super().__init__()
        self.infos = infos
        self.problems = problems


class EngineProbed(Message):
    """What one engine said of itself."""

    def __init__(self, info: EngineInfo, probe: Probe) -> None:
        super().__init__()
        self.info = info
        self.probe = probe


class HardwareSampled(Message):
    """The newest snapshot of GPU and host, and the memory of the loaded engine's process."""

    def __init__(self, snapshot: HardwareSnapshot, engine_memory_bytes: int | None) -> None:
        super().__init__()
        self.snapshot = snapshot
        self.engine_memory_bytes = engine_memory_bytes

    def can_replace(self, message: Message) -> bool:
        """Only the newest snapshot counts."""
        return isinstance(message, HardwareSampled)


class LoadProgressed(Message):
    """A step of the load under way."""

    def __init__(self, model: LocalModel, progress: LoadProgress) -> None:
        super().__init__()
        self.model = model
        self.progress = progress

    def can_replace(self, message: Message) -> bool:
        """Only the newest step counts."""
        return isinstance(message, LoadProgressed)


class LoadEnded(Message):
    """A load ended: ``loaded`` and no error, an error, or neither when it was called off.

    ``plan`` is what was tried; None when it did not come so far.
    """

    def __init__(
        self,
        model: LocalModel,
        loaded: LoadedModel | None,
        error: ModeldeckError | None = None,
        plan: Plan | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.loaded = loaded
        self.error = error
        self.plan = plan


class RetryAsked(Message):
    """The user wants the load that failed tried again, with settings that fit."""


class MemoryLearnt(Message):
    """A load taught what models take of memory here."""


class Unloaded(Message):
    """No model is loaded any more; ``idle``: because nobody asked for it."""

    def __init__(
        self, model: LocalModel, error: ModeldeckError | None = None, *, idle: bool = False
    ) -> None:
        super().__init__()
        self.idle = idle
        self.model = model
        self.error = error


class ReplyMoved(Message, bubble=False):
    """More of the answer being written."""

    def __init__(self, message_id: int, update: ReplyUpdate) -> None:
        super().__init__()
        self.message_id = message_id
        self.update = update


class ReplyEnded(Message, bubble=False):
    """The answer is complete, stopped or failed."""

    def __init__(self, message_id: int, end: ReplyEnd) -> None:
        super().__init__()
        self.message_id = message_id
        self.end = end
