"""The process that owns pulls: one for each user, apart from any deck, and gone when it is idle.

It outlives the deck and the session that started it. Everybody who watches gets the newest state at
most ten times a second; who reads slowly gets fewer, and holds nobody up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Final

from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.pulls import queue as q
from modeldeck.engines.pulls.control import Bandwidth
from modeldeck.engines.pulls.errors import PullError
from modeldeck.engines.pulls.home import PullsHome
from modeldeck.engines.pulls.part_file import remove_part
from modeldeck.engines.pulls.queue import Item, Night, Queue
from modeldeck.engines.pulls.types import Destination, PullProgress, PullState
from modeldeck.engines.pulls.wire import queue_of, queue_text, shown
from modeldeck.engines.pulls.work import Ended, Work
from modeldeck.engines.text import clean_line

IDLE_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0
_LOG: Final = logging.getLogger("modeldeck.pulls")


class Service:
    """The queue, what is at work, and who is to be told."""

    def __init__(self, home: PullsHome, idle_seconds: float = IDLE_SECONDS) -> None:
        """Begin with the queue that is kept; one that cannot be read is set aside."""
        self._home = home
        self._idle_seconds = idle_seconds
        self._queue = q.woken(_kept(home.queue))
        self._bandwidth = Bandwidth(self._queue.bytes_per_second)
        self._works: dict[str, Work] = {}
        self._last: dict[str, PullProgress] = {}
        self._loop = asyncio.get_running_loop()
        self._look = asyncio.Event()
        self._news: set[asyncio.Event] = set()
        self._idle_since = time.monotonic()
        self._ending = False
        self.clients = 0

    # What clients ask.

    def add(
        self, target: str, destination: Destination, *, endpoint: str, night: bool, pickles: bool
    ) -> str:
        """Put a pull into the queue; the id of the one that does it. Raises ModeldeckError."""
        name = parse_target(target).text
        if len(self._queue.items) >= q.MOST:
            raise PullError("There are too many downloads.", "Clear those that are over.")
        item = Item(
            id=secrets.token_hex(4),
            target=target,
            destination=destination,
            endpoint=endpoint,
            night=night,
            pickles=pickles,
            title=clean_line(name, 120),
            asked_at=time.time(),
        )
        queue, stands = q.added(self._queue, item)
        self._set(queue)
        return stands.id

    def change(self, item_id: str, change: Callable[[Item], Item]) -> bool:
        """Change one pull; False where there is none of that id."""
        if self._queue.find(item_id) is None:
            return False
        self._set(q.changed(self._queue, item_id, change))
        if item_id not in self._works:
            self._take_away(item_id)
        return True

    def first(self, item_id: str) -> bool:
        """Let one pull run before all others; False where there is none of that id."""
        self._set(q.first(self._queue, item_id))
        return self._queue.find(item_id) is not None

    def clear(self) -> None:
        """Forget the pulls that are over."""
        self._set(q.cleared(self._queue))

    def limit(self, bytes_per_second: int | None) -> None:
        """What all pulls may take together; None for no limit."""
        self._bandwidth.set(bytes_per_second)
        self._set(replace(self._queue, bytes_per_second=bytes_per_second))

    def configure(self, at_once: int, night: Night) -> None:
        """How many pulls run at the same time, and when those of the night do."""
        if (at_once, night) != (self._queue.at_once, self._queue.night):
            self._set(replace(self._queue, at_once=at_once, night=night))

    @property
    def bytes_per_second(self) -> int | None:
        """The limit; None for none."""
        return self._queue.bytes_per_second

    def came(self) -> None:
        """Somebody asked something: it is no time to leave."""
        self._idle_since = time.monotonic()

    def end(self) -> None:
        """End the process soon; what is at work is kept and goes on with the next one."""
        self._ending = True
        self._look.set()

    def progress(self) -> tuple[PullProgress, ...]:
        """Every pull as it is now."""
        return tuple(self._progress(item) for item in self._queue.items)

    @contextlib.contextmanager
    def watching(self) -> Generator[asyncio.Event]:
        """An event that is set whenever something is new."""
        event = asyncio.Event()
        self._news.add(event)
        try:
            yield event
        finally:
            self._news.discard(event)

    # What it does by itself.

    async def run(self) -> None:
        """Start and stop pulls until there has been nothing to do for a while, or it is to end."""
        try:
            while not self._ending:
                self._start_and_stop()
                if self._is_idle():
                    break
                wait = min(q.next_look(self._queue, time.time()), self._idle_seconds)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._look.wait(), max(wait, 0.05))
                self._look.clear()
        finally:
            await self._stop_all()

    def _start_and_stop(self) -> None:
        minute = _minute()
        for item_id in q.to_stop(self._queue, minute):
            self._works[item_id].stop()
        for item_id, work in self._works.items():
            item = self._queue.find(item_id)
            if item is None or not item.is_busy:
                work.stop()
        for item_id in q.to_start(self._queue, time.time(), minute):
            if item_id not in self._works:
                self._start(item_id)

    def _start(self, item_id: str) -> None:
        item = self._queue.find(item_id)
        if item is None:
            return
        _LOG.info("%s begins: %s", item_id, item.title)
        self._set(
            q.changed(
                self._queue,
                item_id,
                lambda one: replace(one, state=PullState.RUNNING, retry_at=None, note=""),
            )
        )

        def changed() -> None:
            self._loop.call_soon_threadsafe(self._reported, item_id)

        def ended(how: Ended) -> None:
            self._loop.call_soon_threadsafe(self._ended, item_id, how)

        work = Work(item, self._bandwidth, changed, ended)
        self._works[item_id] = work
        work.start()

    def _reported(self, item_id: str) -> None:
        """Something came; what the queue keeps of it is written down when the pull ends.

        Where its part files are is written down at once.
        """
        work = self._works.get(item_id)
        item = self._queue.find(item_id)
        if work is None or item is None:
            return
        if (parts := work.parts) and parts != item.parts:
            self._set(q.changed(self._queue, item_id, lambda one: replace(one, parts=parts)))
        if work.report is None:
            return
        report = work.report
        done = sum(file.done_bytes for file in report.files)
        total = _total(work)

        def change(item: Item) -> Item:
            moved = done > item.done_bytes
            return replace(
                item,
                state=report.state if item.is_busy else item.state,
                done_bytes=max(done, item.done_bytes) if total is None else min(done, total),
                total_bytes=total,
                attempts=0 if moved else item.attempts,
                problem="" if moved else item.problem,
                next_step="" if moved else item.next_step,
                title=work.title or item.title,
                note=report.note or item.note,
            )

        self._queue = q.changed(self._queue, item_id, change)
        self._tell()

    def _ended(self, item_id: str, ended: Ended) -> None:
        self._reported(item_id)
        item = self._queue.find(item_id)
        if item is not None:
            self._last[item_id] = self._progress(item)
        self._works.pop(item_id, None)
        self._look.set()
        if item is None:
            return
        now = time.time()
        if ended.placed is not None:
            _LOG.info("%s is done", item_id)
            placed = ended.placed
            self._set(q.changed(self._queue, item_id, lambda one: q.done(one, now, placed)))
        elif ended.stopped:
            self._set(q.changed(self._queue, item_id, q.stopped))
        else:
            _LOG.warning("%s: %s", item_id, ended.cause)
            self._set(q.changed(self._queue, item_id, lambda one: _after(one, ended, now)))
        self._take_away(item_id)

    def _take_away(self, item_id: str) -> None:
        """Free the disk of what a cancelled pull has brought."""
        parts = q.given_up(self._queue, item_id)
        if parts:
            self._set(q.changed(self._queue, item_id, lambda one: replace(one, parts=())))
            threading.Thread(target=_remove, args=(parts,), daemon=True).start()

    def _is_idle(self) -> bool:
        if self._works or not self._queue.is_idle:
            self._idle_since = time.monotonic()
        return time.monotonic() - self._idle_since >= self._idle_seconds

    async def _stop_all(self) -> None:
        for work in self._works.values():
            work.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                while self._works:
                    self._look.clear()
                    await self._look.wait()
        self._save()

    def _set(self, queue: Queue) -> None:
        self._queue = queue
        self._save()
        self._tell()
        self._look.set()

    def _save(self) -> None:
        made = self._home.queue.with_suffix(".new")
        try:
            made.write_text(queue_text(self._queue), "utf-8")
            made.chmod(0o600)
            made.replace(self._home.queue)
        except OSError as error:
            _LOG.error("the queue cannot be kept: %s", error.strerror)

    def _tell(self) -> None:
        for event in self._news:
            event.set()

    def _progress(self, item: Item) -> PullProgress:
        work = self._works.get(item.id)
        report = work.report if work is not None else None
        last = self._last.get(item.id)
        files = report.files if report is not None else (last.files if last is not None else ())
        rate = work.bytes_per_second if work is not None else None
        left = None
        if rate and item.total_bytes is not None:
            left = max(0, item.total_bytes - item.done_bytes) / rate
        return shown(item, files, rate, left)


def _remove(parts: tuple[str, ...]) -> None:
    for part in parts:
        remove_part(Path(part))


def _after(item: Item, ended: Ended, now: float) -> Item:
    if not ended.again:
        return q.failed(item, now, ended.cause, ended.next_step)
    return q.to_be_tried_again(
        item,
        now,
        ended.cause,
        ended.next_step,
        asked_seconds=ended.asked_seconds,
        jitter=random.random(),  # noqa: S311
    )


def _total(work: Work) -> int | None:
    if work.report is None:
        return None
    totals = [file.total_bytes for file in work.report.files]
    return None if None in totals else sum(total for total in totals if total is not None)


def _minute() -> int:
    local = time.localtime()
    return local.tm_hour * 60 + local.tm_min


def _kept(path: Path) -> Queue:
    try:
        return queue_of(path.read_text("utf-8"))
    except FileNotFoundError:
        return Queue()
    except (OSError, ValueError, ModeldeckError):
        with contextlib.suppress(OSError):
            path.replace(path.with_suffix(".unreadable"))
        return Queue()
