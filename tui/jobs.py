"""Every worker of the deck: the only place that calls engines, stores and the driver.

Each job is a named Textual worker in a group; what it finds comes back as one message. Widgets
never wait here, and nothing here touches a widget.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from modeldeck.engines.chat import ChatMessage, ChatRequest
from modeldeck.engines.contract import Engine
from modeldeck.engines.errors import EngineDied, EngineError, ModeldeckError
from modeldeck.engines.types import LoadedModel, LoadProgress, LocalModel, ModelHeader, Plan
from modeldeck.tui import messages
from modeldeck.tui.pace import Pace
from modeldeck.tui.services import Services
from modeldeck.tui.state import Options
from modeldeck.tui.workers import Workers, unforeseen

if TYPE_CHECKING:
    from textual.worker import Worker

    from modeldeck.engines.fit.options import FitOptions
    from modeldeck.engines.fit.types import Card, Verdict
    from modeldeck.tui.context_use import ContextUse
    from modeldeck.tui.dry_runs import DryRuns
    from modeldeck.tui.learned_memory import MemoryLesson
    from modeldeck.tui.reply import Keeper, ReplyUpdate
    from modeldeck.tui.terminal_app import TerminalApp

IDLE_SAMPLE_S = 2.0
BUSY_SAMPLE_S = 0.5
SIZE_AFTER_S = 0.4
SIZER_RESTS_S = 60.0


class Jobs:
    """Starts, replaces and stops the deck's workers.

    At most one model is loaded at a time: loading another one unloads the first.
    """

    def __init__(
        self, app: TerminalApp, services: Services, dry_runs: DryRuns | None = None
    ) -> None:
        self._app = app
        self.workers = Workers(app)
        self._dry_runs = dry_runs
        self._services = services
        self._reply: Worker[None] | None = None
        self._pace = Pace.of(services.batch_ms)
        self._loaded: LoadedModel | None = None
        self._used_ns = 0
        self._engine_lock = asyncio.Lock()
        self._judged_for: tuple[Options, Card] | None = None
        self._judged: dict[str, tuple[ModelHeader | None, Verdict]] = {}

    def scan(self, *, whole: bool = False) -> None:
        """Read the model folders; a scan under way is replaced.

        ``whole``: nothing is shown before all is read, so that no row goes away meanwhile.
        """
        self.workers.start("scan", lambda: self._scan(whole))

    async def _scan(self, whole: bool) -> None:
        stopped = False

        def read() -> None:
            for found in self._services.scan(lambda: stopped):
                if found.finished or not whole:
                    self._app.post_message(
                        messages.ModelsScanned(found.models, found.notes, found.finished)
                    )

        try:
            await asyncio.to_thread(read)
        finally:
            stopped = True

    def watch_folders(self) -> None:
        """Notice models that come and go for as long as the deck is open."""
        self.workers.start("folders", self._watch_folders)

    async def _watch_folders(self) -> None:
        from modeldeck.engines.catalog.watch import FolderWatch

        post = self._app.post_message
        watch = FolderWatch(
            self._services.place_paths,
            lambda: post(messages.FoldersChanged()),
            lambda why: post(messages.WatchPolls(why)),
        )
        watch.start()
        try:
            await asyncio.Event().wait()
        finally:
            watch.stop()

    def judge(self, models: Iterable[LocalModel], options: Options, card: Card) -> None:
        """Work out every verdict for ``options`` on ``card``; an older run is replaced."""
        listed = tuple(models)
        self.workers.start("judge", lambda: self._judge(listed, options, card))

    async def _judge(self, models: tuple[LocalModel, ...], options: Options, card: Card) -> None:
        if self._judged_for != (options, card):
            self._judged_for, self._judged = (options, card), {}
        known = self._judged
        new = [m for m in models if m.id not in known or known[m.id][0] is not m.header]

        def judge() -> tuple[dict[str, Verdict], MemoryLesson | None]:
            memory = self._services.learned_memory.lesson()
            context, kv_type = options.context_tokens, options.kv_type
            return self._services.judge(new, context, kv_type, card, memory=memory), memory

        verdicts, memory = await asyncio.to_thread(judge)
        known.update((m.id, (m.header, verdicts[m.id])) for m in new if m.id in verdicts)
        shown = {m.id: known[m.id][1] for m in models if m.id in known and m.header is not None}
        self._app.post_message(messages.ModelsJudged(shown, card, memory))

    def size(self, model: LocalModel, verdict: Verdict, options: Options, card: Card) -> None:
        """Ask llama.cpp itself about ``model``; an older question is dropped."""
        if self._dry_runs is not None:
            dry_runs = self._dry_runs
            self.workers.start("size", lambda: self._size(dry_runs, model, verdict, options, card))

    async def _size(
        self, dry_runs: DryRuns, model: LocalModel, verdict: Verdict, options: Options, card: Card
    ) -> None:
        await asyncio.sleep(SIZE_AFTER_S)
        found = await asyncio.to_thread(dry_runs.sized, model, verdict, options, card)
        if found is not None:
            if self._judged.get(model.id, (None, None))[1] is verdict:
                self._judged[model.id] = (model.header, found)
            self._app.post_message(messages.ModelSized(model.id, verdict, found))
        await asyncio.sleep(SIZER_RESTS_S)
        await asyncio.to_thread(dry_runs.rest)

    def find_adapters(self, model: LocalModel) -> None:
        """Look for adapters that are for ``model``."""

        async def find() -> None:
            found = await asyncio.to_thread(self._services.adapters_for, model)
            self._app.post_message(messages.AdaptersFound(model, found))

        self.workers.start("adapters", find)

    def probe(self) -> None:
        """Ask every engine whether it can be used here."""
        self.workers.start("probe", self._probe)

    async def _probe(self) -> None:
        async def ask(engine: Engine) -> None:
            found = await engine.probe()
            self._app.post_message(messages.EngineProbed(engine.info, found))

        engines, problems = await asyncio.to_thread(self._services.find_engines)
        self._app.post_message(messages.EnginesFound(tuple(e.info for e in engines), problems))
        await asyncio.gather(*(ask(engine) for engine in engines))

    def watch_hardware(self) -> None:
        """Sample GPU and host for as long as the deck is open."""
        self.workers.start("hardware", self._watch_hardware)

    async def _watch_hardware(self) -> None:
        while True:
            loaded = self._loaded
            pid = loaded.pid if loaded else None
            snapshot, memory_bytes = await asyncio.to_thread(self._services.sample, pid)
            self._app.post_message(messages.HardwareSampled(snapshot, memory_bytes))
            await self._notice_death()
            busy = self._reply is not None and self._reply.is_running
            self._unload_when_idle(busy)
            await asyncio.sleep(BUSY_SAMPLE_S if busy else IDLE_SAMPLE_S)

    def _unload_when_idle(self, busy: bool) -> None:
        """Give back the memory of a model that nobody has asked for as long as is set."""
        minutes = self._services.settings.unload_after_minutes
        if busy or not minutes or self._loaded is None or self._engine_lock.locked():
            self._used_ns = self.now_ns()
        elif self.now_ns() - self._used_ns > minutes * 60_000_000_000:
            self.workers.start("load", lambda: self._unload(idle=True))

    async def _notice_death(self) -> None:
        loaded = self._loaded
        if loaded is None or self._engine_lock.locked():
            return
        engine = self._services.engine(loaded.engine)
        alive = {held.instance for held in await engine.models()}
        if loaded.instance in alive or self._loaded is not loaded:
            return
        self._loaded = None
        error = EngineDied(
            f"{engine.info.title} stopped while it held {loaded.model.name}.",
            "Ask again, or load it from Models.",
        )
        self._app.post_message(messages.Unloaded(loaded.model, error))

    def load(
        self,
        model: LocalModel,
        options: Options,
        wanted: str | None = None,
        given: FitOptions | None = None,
        *,
        keep: bool = False,
    ) -> None:
        """Load ``model``, after unloading what is loaded; a load under way is called off.

        The policy chooses the engine, unless ``wanted`` names the user's own choice. What is
        ``given`` comes before what is kept for that engine, and is kept itself with ``keep``, once
        it has worked.

        How much goes to the GPU is planned once the other model's memory is free again.
        """
        self.workers.start("load", lambda: self._load(model, options, wanted, given, keep=keep))

    async def _load(
        self,
        model: LocalModel,
        options: Options,
        wanted: str | None,
        given: FitOptions | None,
        *,
        keep: bool,
    ) -> None:
        def on_progress(progress: LoadProgress) -> None:
            self._app.post_message(messages.LoadProgressed(model, progress))

        loaded: LoadedModel | None = None
        error: ModeldeckError | None = None
        plan: Plan | None = None
        try:
            async with self._engine_lock:
                # Ending what runs and asking the engine for its devices may take seconds.
                on_progress(LoadProgress("starting", 0.0))
                await self._end_reply()
                await self._unload_now()
                engine, devices = await self._services.engine_for(model, wanted)
                wishes, name = self._services.wishes, engine.info.name
                used = given or await asyncio.to_thread(wishes.profile, model, name)
                hardware, _ = await asyncio.to_thread(self._services.sample, None)
                plan = self._services.plan(
                    model, options.context_tokens, options.kv_type, hardware, devices, used
                )
                loaded = await engine.load(model, plan, on_progress)
                self._loaded = loaded
        except ModeldeckError as caught:
            error = caught
        except Exception as caught:
            error = EngineError(*unforeseen("load", caught))
        finally:
            self._app.post_message(messages.LoadEnded(model, loaded, error, plan))
        if loaded is not None:
            self._learn(loaded)
            if given is not None and keep:
                self._keep_profile(loaded, given, options)

    def _learn(self, loaded: LoadedModel) -> None:
        """Keep what a load took; every verdict is due again when it taught something."""

        async def learn() -> None:
            if await asyncio.to_thread(self._services.learn_memory, loaded):
                self._judged_for = None
                self._app.post_message(messages.MemoryLearnt())

        self.workers.start("learn", learn)

    def _keep_profile(self, loaded: LoadedModel, given: FitOptions, usual: Options) -> None:
        """What worked is how the model is loaded in that engine from now on."""

        async def keep() -> None:
            keep = self._services.wishes.keep_profile
            kept = await asyncio.to_thread(keep, loaded.model, loaded.engine, given, usual)
            self._app.post_message(messages.ProfilesChanged(kept))

        self.workers.start("profile", keep)

    def unload(self) -> None:
        """Give the loaded model's memory back; a load under way is called off."""
        self.workers.start("load", self._unload)

    async def _unload(self, *, idle: bool = False) -> None:
        loaded = self._loaded
        async with self._engine_lock:
            await self._end_reply()
            error: ModeldeckError | None = None
            try:
                await self._unload_now()
            except ModeldeckError as caught:
                error = caught
        if loaded is not None:
            self._app.post_message(messages.Unloaded(loaded.model, error, idle=idle))

    async def _unload_now(self) -> None:
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            await self._services.engine(loaded.engine).unload(loaded.instance)

    def reply(
        self, message_id: int, engine_name: str, request: ChatRequest, keeper: Keeper
    ) -> None:
        """Have one answer written; updates and its end come as messages about ``message_id``."""
        self._reply = self.workers.start(
            "reply", lambda: self._write_reply(message_id, engine_name, request, keeper)
        )

    async def _write_reply(
        self, message_id: int, engine_name: str, request: ChatRequest, keeper: Keeper
    ) -> None:
        from modeldeck.tui.reply import run_reply

        def on_update(update: ReplyUpdate) -> None:
            self._keep_pace()
            self._app.post_message(messages.ReplyMoved(message_id, update))

        end = await run_reply(
            self._services.engine(engine_name),
            request,
            on_update,
            keeper=keeper,
            batch_ms=lambda: self._pace.batch_ms,
        )
        self._app.post_message(messages.ReplyEnded(message_id, end))
        card = self._services.cards.now()
        if self._loaded is not None and card is not None:
            learn = self._services.learned_speed.take
            await asyncio.to_thread(learn, self._loaded, end.reading, card)
        if isinstance(end.error, EngineDied):
            await self._notice_death()

    def _keep_pace(self) -> None:
        """Draw less often while the terminal has not taken what was drawn before."""
        if self._services.settings.batch_ms is not None:
            return
        pace = self._pace.after(self._app.waiting_writes)
        if pace.batch_ms != self._pace.batch_ms:
            slow_ms = pace.batch_ms if pace.slowed else None
            self._app.post_message(messages.LinkPaced(slow_ms))
        self._pace = pace

    def stop_reply(self) -> None:
        """Stop the answer being written; its words stand."""
        if self._reply is not None:
            self._reply.cancel()

    def count(self, loaded: LoadedModel, prompt: tuple[ChatMessage, ...], text: str) -> None:
        """Count the tokens of ``prompt``, which ends with ``text``; an older count is given up."""
        self.workers.start("count", lambda: self._count(loaded, prompt, text))

    async def _count(self, loaded: LoadedModel, prompt: tuple[ChatMessage, ...], text: str) -> None:
        from modeldeck.tui.next_prompt import NextPrompt

        use = await self._counted(loaded, prompt)
        found = NextPrompt(text, use, loaded.context_tokens)
        self._app.post_message(messages.PromptCounted(found))

    async def _counted(self, loaded: LoadedModel, told: tuple[ChatMessage, ...]) -> ContextUse:
        from modeldeck.tui.counting import counted

        return await counted(self._services.engine(loaded.engine), loaded.instance, told)

    def weigh(self, loaded: LoadedModel, told: tuple[ChatMessage, ...], leaf: int) -> None:
        """Count the tokens of the conversation ``told``, whose last message is ``leaf``."""
        self.workers.start("weigh", lambda: self._weigh(loaded, told, leaf))

    async def _weigh(self, loaded: LoadedModel, told: tuple[ChatMessage, ...], leaf: int) -> None:
        use = await self._counted(loaded, told)
        if use.exact:
            self._app.post_message(messages.ContextWeighed(leaf, use))

    async def _end_reply(self) -> None:
        worker, self._reply = self._reply, None
        if worker is None or worker.is_finished:
            return
        worker.cancel()
        with contextlib.suppress(Exception):
            await worker.wait()

    def copy(self, text: str, what: str) -> None:
        """Send a copy to the terminal, keep it in a file and tmux's buffer, and say where it is."""
        self._app.copy_to_clipboard(text)
        self.workers.start("copy", lambda: self._copy(text, what))

    async def _copy(self, text: str, what: str) -> None:
        from modeldeck.tui.clipboard import MOST_BYTES, copied_sentence, hand_to_tmux, keep_copy

        problem: ModeldeckError | None = None
        path = None
        try:
            path = await asyncio.to_thread(keep_copy, text, self._services.copies_dir)
        except ModeldeckError as caught:
            problem = caught
        in_tmux = await asyncio.to_thread(hand_to_tmux, text, os.environ)
        sent = in_tmux or len(text.encode("utf-8", "replace")) <= MOST_BYTES
        cause = copied_sentence(what, sent=sent, path=path)
        step = str(problem) if problem else ""
        self._app.post_message(messages.NoticeGiven(cause, step, failure=not sent and path is None))

    def now_ns(self) -> int:
        """The monotonic clock the meters use."""
        return time.monotonic_ns()
