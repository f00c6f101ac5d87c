"""Runs one pull of the queue in a thread, and tells its owner how it comes along."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from modeldeck.engines.catalog.receipts import Receipt, keep_receipts, receipts_folder
from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.formats.web_errors import Unreachable
from modeldeck.engines.pulls.control import Bandwidth, Control
from modeldeck.engines.pulls.errors import Busy, Stopped
from modeldeck.engines.pulls.ollama_pull import ollama_pull
from modeldeck.engines.pulls.places import part_path
from modeldeck.engines.pulls.pull import Report, run_pull
from modeldeck.engines.pulls.queue import Item
from modeldeck.engines.pulls.types import Layout, Wanted
from modeldeck.engines.pulls.wanted import wanted

_RATE_SECONDS: Final = 5.0
_BUSY_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of a pull ended.

    Attributes:
        placed: the paths of what is in place; None when it is not.
        stopped: somebody stopped it.
        cause: what went wrong.
        next_step: what to do about it.
        again: the same may succeed later.
        asked_seconds: how long the server asks to be left alone; None when it does not.
    """

    placed: tuple[str, ...] | None = None
    stopped: bool = False
    cause: str = ""
    next_step: str = ""
    again: bool = False
    asked_seconds: float | None = None


class Work:
    """One run of one pull.

    Attributes:
        report: how far it has come; None at first.
        title: for people, once it is known; empty before.
        parts: paths that its part files have, once that is known; empty before.
    """

    def __init__(
        self,
        item: Item,
        bandwidth: Bandwidth,
        changed: Callable[[], None],
        ended: Callable[[Ended], None],
    ) -> None:
        """Prepare; ``start`` begins.

        Args:
            item: what to pull.
            bandwidth: that all pulls share.
            changed: is called from the thread when the report is another.
            ended: is called from the thread, once, at the end.
        """
        self.report: Report | None = None
        self.title = ""
        self.parts: tuple[str, ...] = ()
        self._item = item
        self._control = Control(bandwidth)
        self._changed = changed
        self._ended = ended
        self._rate = Rate()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End soon; what has come is kept."""
        self._control.stop()

    def join(self, seconds: float) -> None:
        """Wait for the end."""
        self._thread.join(seconds)

    @property
    def bytes_per_second(self) -> float | None:
        """Over the last seconds; None while nothing moves."""
        return self._rate.now(time.monotonic())

    def _run(self) -> None:
        try:
            ended = Ended(placed=self._pull())
        except Stopped:
            ended = Ended(stopped=True)
        except Unreachable as error:
            ended = Ended(
                cause=error.cause,
                next_step=error.next_step,
                again=True,
                asked_seconds=error.wait_seconds,
            )
        except Busy as error:
            ended = Ended(
                cause=error.cause,
                next_step=error.next_step,
                again=True,
                asked_seconds=_BUSY_SECONDS,
            )
        except ModeldeckError as error:
            ended = Ended(cause=error.cause, next_step=error.next_step)
        except Exception as error:  # the other pulls go on
            ended = Ended(
                cause=f"The download met something unforeseen ({type(error).__name__}).",
                next_step="Look at the log of the downloads, and try again.",
            )
        self._ended(ended)

    def _pull(self) -> tuple[str, ...]:
        environ = self._environ()
        target = parse_target(self._item.target)
        if self._item.destination.layout is Layout.OLLAMA_SERVICE:
            self.title = target.name
            return ollama_pull(target.name, environ, self._control, self._told)
        want = wanted(target, self._item.destination, environ, pickles=self._item.pickles)
        self.title = want.title
        self.parts = tuple(str(part_path(want, file)) for file in want.files)
        self._changed()
        placed = run_pull(want, environ, self._control, self._told)
        if want.destination.layout is Layout.FOLDER:
            keep_receipts(receipts_folder(), receipts_of(want, placed))
        return tuple(str(path) for path in placed)

    def _environ(self) -> Mapping[str, str]:
        named = {"HF_ENDPOINT": self._item.endpoint} if self._item.endpoint else {}
        return {**os.environ, **named}

    def _told(self, report: Report) -> None:
        self.report = report
        self._rate.add(time.monotonic(), sum(file.done_bytes for file in report.files))
        self._changed()


class Rate:
    """Bytes a second over the last seconds."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def add(self, now: float, done_bytes: int) -> None:
        """So many bytes are here."""
        self._seen = [
            *(one for one in self._seen if one[0] >= now - _RATE_SECONDS),
            (now, done_bytes),
        ]

    def now(self, now: float) -> float | None:
        """Of the last seconds; None while too little is known, or nothing moves."""
        recent = [one for one in self._seen if one[0] >= now - _RATE_SECONDS]
        if len(recent) < 2:
            return None
        (begun, first), (_, last) = recent[0], recent[-1]
        seconds = now - begun
        return (last - first) / seconds if seconds >= 0.3 and last > first else None


def receipts_of(wanted: Wanted, placed: Sequence[Path]) -> Iterator[Receipt]:
    """Where each file of a plain folder came from; none of those that no server tells apart."""
    for file, path in zip(wanted.files, placed, strict=True):
        if file.state:
            found = path.stat()
            yield Receipt(
                path=str(path.absolute()),
                folder=str(wanted.destination.folder.absolute()),
                target=wanted.target,
                repository=wanted.repository,
                revision=wanted.revision,
                commit=wanted.commit,
                name=file.name,
                state=file.state,
                size_bytes=found.st_size,
                mtime_ns=found.st_mtime_ns,
            )
