"""What the deck and the command line are built from, opened once and handed down."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from modeldeck.engines import demo
from modeldeck.engines.catalog.places import Place, default_places
from modeldeck.engines.catalog.scan import Scan, models_of, scan, sorted_by_name
from modeldeck.engines.errors import EngineMissing, ModeldeckError
from modeldeck.engines.paths import data_dir, home_relative, is_folder
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.headers import HeaderCache
from modeldeck.engines.types import (
    Device,
    Draft,
    KvType,
    LoadedModel,
    LocalModel,
    ModelFormat,
    Plan,
    Source,
)
from modeldeck.tui.settings import Settings, save_setting
from modeldeck.tui.wishes import Wishes

if TYPE_CHECKING:
    from modeldeck.engines.catalog.unreadable import Unreadable
    from modeldeck.engines.contract import Engine
    from modeldeck.engines.fit.companions import Companions
    from modeldeck.engines.fit.options import FitOptions
    from modeldeck.engines.fit.shapes import Shapes
    from modeldeck.engines.fit.types import Card, Verdict
    from modeldeck.engines.hardware.monitor import HardwareMonitor
    from modeldeck.engines.hardware.types import HardwareSnapshot
    from modeldeck.engines.store.conversations import Conversations
    from modeldeck.engines.store.model_settings import ModelSettings
    from modeldeck.tui.cards import Cards
    from modeldeck.tui.early_scan import EarlyScan
    from modeldeck.tui.elsewhere import Elsewhere
    from modeldeck.tui.learned_memory import LearnedMemory, MemoryLesson
    from modeldeck.tui.learned_speed import LearnedSpeed
    from modeldeck.tui.library import Library

# Verdicts, the driver, the engines and the conversations are imported when they are first asked
# for: the list of models is painted without them, and would wait 0.1 s for them.

_SHOW_EVERY_S = 0.4


class ScanStep(NamedTuple):
    """The models found so far, sorted; ``finished`` with the last step."""

    models: tuple[LocalModel, ...]
    notes: tuple[str, ...]
    finished: bool


class EnginesMade(NamedTuple):
    """The engines, and sentences about those that could not be made or set up."""

    engines: tuple[Engine, ...]
    problems: tuple[str, ...]


class Services:
    """Settings, stores, engines and the machine, behind plain calls.

    Attributes:
        settings: the user's settings.
        problems: sentences about settings, engines and stores that the user should read.
        wishes: which engine the user wants for a model, and how it is loaded there.
    """

    def __init__(
        self,
        settings: Settings,
        problems: Sequence[str],
        config_path: Path,
        database: Database,
        make_engines: Callable[[], EnginesMade],
        environ: Mapping[str, str],
    ) -> None:
        self.settings = settings
        self.problems = tuple(problems)
        self._make_engines = make_engines
        self._engines: EnginesMade | None = None
        self._engines_lock = Lock()
        self._early_scan: EarlyScan[ScanStep] | None = None
        self._environ = environ
        self._config_path = config_path
        self._database = database
        self._headers = HeaderCache(database)
        self.wishes = Wishes(database)
        self._monitor: HardwareMonitor | None = None
        self._shapes: Shapes | None = None
        self._places = (
            *default_places(settings.model_dirs, environ, Path.home()),
            Place(Source.DEMO, demo.model_path()),
        )
        self.config_dir = config_path.parent

    @cached_property
    def batch_ms(self) -> int:
        """How long streamed text is gathered before it is drawn."""
        from modeldeck.tui.terminal import batch_ms

        return self.settings.batch_ms or batch_ms(self._environ)

    @cached_property
    def cards(self) -> Cards:
        """The card to judge for."""
        from modeldeck.tui.cards import Cards

        return Cards(self.settings, self._database)

    @cached_property
    def learned_speed(self) -> LearnedSpeed:
        """What replies taught about the speed of this box."""
        from modeldeck.tui.learned_speed import LearnedSpeed

        return LearnedSpeed(self._database)

    @cached_property
    def learned_memory(self) -> LearnedMemory:
        """What loads taught about memory on this box."""
        from modeldeck.tui.learned_memory import LearnedMemory

        return LearnedMemory(self._database)

    def learn_memory(self, loaded: LoadedModel) -> bool:
        """Keep what a load took that has just ended; whether it said anything."""
        from modeldeck.engines.contract import ReportsBuffers
        from modeldeck.tui.learned_memory import Held

        engine = self.engine(loaded.engine)
        buffers = engine.buffers(loaded.instance) if isinstance(engine, ReportsBuffers) else ()
        if not buffers:
            return False
        hardware, _ = self.sample(None)
        by_gpu = self.gpu_memory_of(loaded.pid)
        return self.learned_memory.take(loaded, Held(buffers, hardware.gpus, by_gpu))

    @cached_property
    def model_settings(self) -> ModelSettings:
        """What the user set for each model."""
        from modeldeck.engines.store.model_settings import ModelSettings

        return ModelSettings(self._database)

    @cached_property
    def conversations(self) -> Conversations:
        """The kept conversations."""
        from modeldeck.engines.store.conversations import Conversations

        return Conversations(self._database, end_orphans=False)

    @cached_property
    def library(self) -> Library:
        """The kept conversations to look through; its thread begins with the first call."""
        from modeldeck.tui.library import Library

        return Library(self._database, self.conversations, data_dir() / "exports")

    @cached_property
    def elsewhere(self) -> Elsewhere:
        """What is not on this machine yet, and what brings it here."""
        from modeldeck.tui.elsewhere import Elsewhere

        return Elsewhere(lambda: self.engines, lambda: self.learned_memory, self.settings)

    @property
    def copies_dir(self) -> Path:
        """Where what is copied is kept."""
        return data_dir()

    @property
    def place_names(self) -> tuple[str, ...]:
        """The folders looked through, as people write them; other programs' where they are."""
        always = (Source.FOLDER, Source.HUGGING_FACE, Source.LLAMA_CPP)
        return tuple(
            home_relative(place.path)
            for place in self._places
            if place.source in always
            or (place.source is not Source.DEMO and is_folder(place.path) is not False)
        )

    @property
    def place_paths(self) -> tuple[Path, ...]:
        """The folders looked through."""
        return tuple(place.path for place in self._places if place.source is not Source.DEMO)

    def unreadable(self) -> Unreadable:
        """What of the places this user may not read."""
        from modeldeck.engines.catalog.scan import unreadable_in

        return unreadable_in(self._places)

    # Models.

    def scan_early(self) -> None:
        """Begin to read the places; the next ``scan`` goes on with what this finds."""
        from modeldeck.tui.early_scan import EarlyScan

        self._early_scan = EarlyScan(self._read_places)

    @property
    def found_early(self) -> ScanStep | None:
        """What ``scan_early`` has found by now, which the next ``scan`` yields as well."""
        return self._early_scan.newest if self._early_scan is not None else None

    def scan(self, should_stop: Callable[[], bool]) -> Iterator[ScanStep]:
        """Read the places, yielding what was found so far every now and then."""
        early, self._early_scan = self._early_scan, None
        yield from early.steps(should_stop) if early else self._read_places(should_stop)

    def _read_places(self, should_stop: Callable[[], bool]) -> Iterator[ScanStep]:
        notes: list[str] = []
        found: dict[str, LocalModel] = {}
        shown = time.monotonic()
        for model in models_of(self._places, notes, self._headers, should_stop):
            found[model.id] = model
            if time.monotonic() - shown >= _SHOW_EVERY_S:
                shown = time.monotonic()
                yield ScanStep(sorted_by_name(found.values()), (), finished=False)
        if should_stop():
            return
        notes += self._save_headers()
        yield ScanStep(sorted_by_name(found.values()), tuple(notes), finished=True)

    def scan_all(self) -> Scan:
        """Read the places to the end."""
        found = scan(self._places, self._headers)
        return Scan(found.models, (*found.notes, *self._save_headers()))

    def _save_headers(self) -> list[str]:
        try:
            self._headers.save()
        except ModeldeckError as error:
            return [str(error)]
        return []

    @property
    def headers(self) -> HeaderCache:
        """The cache of headers already read."""
        return self._headers

    # Verdicts.

    def companions(
        self, model: LocalModel, draft: Draft | None = None, adapters: Sequence[str] = ()
    ) -> Companions:
        """What is loaded with a model. Raises ModelNotFound, FormatError."""
        from modeldeck.tui.companions import companions_of

        return companions_of(model, draft, adapters, self._headers)

    def adapters_for(self, model: LocalModel) -> tuple[Path, ...]:
        """The adapters in the places looked through that are for ``model``."""
        from modeldeck.engines.catalog.adapters import adapters_in
        from modeldeck.engines.fit.companions import unfit_adapter

        header = model.header
        if header is None or model.format is not ModelFormat.GGUF:
            return ()
        found = adapters_in(self._places, self._headers)
        return tuple(one.path for one in found if not unfit_adapter(header, one.sizes))

    def judge(
        self,
        models: Sequence[LocalModel],
        context_tokens: int,
        kv_type: KvType,
        card: Card,
        *,
        brief: bool = False,
        memory: MemoryLesson | None = None,
    ) -> dict[str, Verdict]:
        """Verdicts by model id; a model with a problem has none.

        In ``brief`` they have no longest context and no rate. ``memory`` is what loads taught.
        """
        from modeldeck.engines.fit.shapes import Shapes
        from modeldeck.engines.store.shapes import ShapeStore
        from modeldeck.tui.row_verdicts import Judging, row_verdicts

        if self._shapes is None:
            self._shapes = Shapes(ShapeStore(self._database))
        judging = Judging(
            context_tokens,
            kv_type,
            card,
            lambda: [engine.info for engine in self.engines],
            memory,
            None if brief else self.learned_speed.lesson(),
            brief,
        )
        return row_verdicts(models, self._shapes, judging)

    def reads(self, model: LocalModel) -> bool:
        """Whether some engine reads the model's format, usable here or not."""
        readers = (engine.info.formats for engine in self.engines)
        return model.format is ModelFormat.GGUF or any(model.format in each for each in readers)

    def plan(
        self,
        model: LocalModel,
        context_tokens: int,
        kv_type: KvType,
        hardware: HardwareSnapshot | None,
        devices: Sequence[Device],
        given: FitOptions | None = None,
    ) -> Plan:
        """How ``model`` would be loaded now: for the card that is here and the engine's devices.

        What is ``given`` is kept, and the rest planned around it.

        Raises:
            ModelNotFound: the draft model or an adapter has gone.
            FormatError: an adapter is none.
        """
        from modeldeck.tui.load_plan import plan_now
        from modeldeck.tui.state import Options

        asked = (given.draft, given.adapters) if given is not None else (None, ())
        wanted, beside = Options(context_tokens, kv_type), self.companions(model, *asked)
        return plan_now(model, wanted, hardware, devices, given, beside)

    # Engines and the machine.

    def find_engines(self) -> EnginesMade:
        """Every engine that could be made, and what is wrong with the others.

        They are imported with the first call, which takes 0.1 s: not in the deck's event loop.
        """
        with self._engines_lock:
            if self._engines is None:
                self._engines = self._make_engines()
            return self._engines

    @property
    def engines(self) -> tuple[Engine, ...]:
        """Every engine that could be made."""
        return self.find_engines().engines

    def engine(self, name: str) -> Engine:
        """The engine called ``name``. Raises EngineMissing."""
        wanted = name.replace("-", "_")
        for engine in self.engines:
            if engine.info.name == wanted:
                return engine
        known = ", ".join(engine.info.name for engine in self.engines) or "none"
        raise EngineMissing(f"There is no engine called {name}.", f"Engines: {known}.")

    async def engine_for(
        self, model: LocalModel, wanted: str | None = None
    ) -> tuple[Engine, tuple[Device, ...]]:
        """The engine that the policy gives ``model`` now, and what it can run on.

        Raises:
            EngineMissing: no engine here can run it; says what would.
        """
        import asyncio  # 40 ms, which listing models does without

        from modeldeck.engines.choice import EngineStatus, choose

        engines, _ = await asyncio.to_thread(self.find_engines)
        able = [engine for engine in engines if engine.info.runs(model)]
        probes = await asyncio.gather(*(engine.probe() for engine in able))
        asked = tuple(
            EngineStatus(engine.info, probe) for engine, probe in zip(able, probes, strict=True)
        )
        choice = choose(model, asked, wanted=wanted)
        for engine, probe in zip(able, probes, strict=True):
            if engine.info.name == choice.engine:
                return engine, probe.devices
        raise EngineMissing(choice.reason, choice.next_step)

    def launch_command(self, engine: str, model: LocalModel, plan: Plan) -> tuple[str, ...] | None:
        """The command a person would type for this load; None when the engine has none.

        Raises:
            EngineMissing: there is no such engine.
        """
        from modeldeck.engines.contract import LaunchCommand

        found = self.engine(engine)
        words = found.launch_command(model, plan) if isinstance(found, LaunchCommand) else ()
        return words or None

    def log_lines(self) -> tuple[str, ...]:
        """What the engines' processes wrote."""
        from modeldeck.engines.contract import KeepsLog

        return tuple(
            line for engine in self.engines if isinstance(engine, KeepsLog) for line in engine.log()
        )

    def sample(self, pid: int | None) -> tuple[HardwareSnapshot, int | None]:
        """The machine now, and the resident memory of process ``pid``."""
        from modeldeck.engines.hardware.host import process_memory
        from modeldeck.engines.hardware.monitor import HardwareMonitor

        if self._monitor is None:
            self._monitor = HardwareMonitor()
        return self._monitor.sample(), process_memory(pid) if pid is not None else None

    def gpu_memory_of(self, pid: int | None) -> Mapping[int, int]:
        """Bytes of each GPU, by its index, that a process holds; empty where nobody can tell."""
        if self._monitor is None or pid is None:
            return {}
        return self._monitor.held_by(pid)

    async def close_engines(self) -> None:
        """Unload everything and reap every child; one engine's failure does not keep the others."""
        for engine in self._engines.engines if self._engines is not None else ():
            with contextlib.suppress(Exception):
                await engine.close()

    def remember(self, key: str, value: str) -> None:
        """Set one setting in the user's file. Raises SettingsError."""
        save_setting(self._config_path, key, value)

    def close(self) -> None:
        """Close the driver session and the database."""
        if "library" in self.__dict__:
            self.library.close()
        if self._early_scan is not None:
            self._early_scan.stop()
        if self._monitor is not None:
            self._monitor.close()
        self._database.close()
