"""Notices that models came or went, in a thread of its own.

The system tells of changes in the folders (inotify, FSEvents); it costs nothing while there are
none. Where it cannot watch so many folders, their times are looked at every half minute.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Final

from modeldeck.engines.paths import is_folder

MAX_WATCHED: Final = 2048
"""Folders that are watched; a user's share of inotify may be as small as 8192."""

MAX_FOLDERS: Final = 16 * MAX_WATCHED
"""Folders whose times are compared."""

_MAX_ENTRIES: Final = 200_000
_MAX_DEPTH: Final = 12
_SETTLE_S: Final = 1.0
_LONGEST_SETTLE: Final = 16  # times the usual
_POLL_S: Final = 30.0
_STEP_MS: Final = 100

# Weights are complete only when a link or a manifest elsewhere names them.
_PASSED_OVER: Final = frozenset({"blobs", ".locks", ".no_exist", ".git"})
_UNFINISHED: Final = (".incomplete", ".part", ".lock", ".tmp", "-partial")

POLLED: Final = "New models are looked for every 30 s: the system cannot watch so many folders."


def folder_times(roots: Iterable[Path], most: int = MAX_FOLDERS) -> dict[str, int]:
    """Times of change of the folders below ``roots``, in ns, by path; no more than ``most`` + 1.

    Links are followed, each folder once; what cannot be read is left out.
    """
    times: dict[str, int] = {}
    seen: set[tuple[int, int]] = set()
    entries_left = _MAX_ENTRIES
    stack = [(os.fspath(root), 0) for root in roots]
    while stack and len(times) <= most and entries_left > 0:
        folder, depth = stack.pop()
        try:
            status = Path(folder).stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    entries_left -= 1
                    if entries_left <= 0:
                        break
                    if depth < _MAX_DEPTH and entry.name not in _PASSED_OVER and _leads_on(entry):
                        stack.append((entry.path, depth + 1))
            times[folder] = status.st_mtime_ns
        except OSError:
            continue
    return times


def _leads_on(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def matters(path: str) -> bool:
    """Whether a change of ``path`` may change the list of models."""
    return not path.endswith(_UNFINISHED)


class FolderWatch:
    """Calls ``on_change`` when something came, went or changed below ``roots``.

    Changes that come close together are told once, a second after they end, or every few seconds
    while they do not end.

    Args:
        roots: the folders; one that is not there is looked for now and then.
        on_change: called in the watching thread.
        on_note: told, once, a sentence about why changes are noticed late.
        settle_s: how long nothing must change before it is told, and how often is looked for
            a root that was not there.
        poll_s: how often times are compared where the system cannot watch.
        most: folders that the system is asked to watch.
    """

    def __init__(
        self,
        roots: Iterable[Path],
        on_change: Callable[[], object],
        on_note: Callable[[str], object],
        *,
        settle_s: float = _SETTLE_S,
        poll_s: float = _POLL_S,
        most: int = MAX_WATCHED,
    ) -> None:
        self._roots = tuple(roots)
        self._on_change = on_change
        self._on_note = on_note
        self._settle_s = settle_s
        self._poll_s = poll_s
        self._most = most
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="folder watch", daemon=True)

    def start(self) -> None:
        """Begin, a moment from now: whoever starts it has more urgent things to do."""
        self._thread.start()

    def stop(self) -> None:
        """End; takes a tenth of a second."""
        self._stopped.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        before = folder_times(self._roots)
        self._stopped.wait(self._settle_s)
        while not self._stopped.is_set():
            now = folder_times(self._roots)
            try:
                if len(now) > self._most:
                    raise OSError
                before = self._watched(before, now)
            except FileNotFoundError:
                self._stopped.wait(self._settle_s)  # a folder went away just now
            except ImportError:  # watchfiles has no build for every machine
                self._poll(before)
            except OSError:
                self._on_note(POLLED)
                self._poll(before)

    def _watched(self, before: Mapping[str, int], now: dict[str, int]) -> dict[str, int]:
        """Watch until there are other folders. Returns what was known last. Raises OSError."""
        from watchfiles import watch  # 50 ms, with anyio

        changed, settle_s, told_at = before != now, self._settle_s, 0.0
        tick_ms = round(1000 * self._settle_s)
        absent = [root for root in self._roots if not is_folder(root)]
        for changes in watch(
            *now,
            watch_filter=lambda _, path: matters(path),
            debounce=tick_ms,
            step=_STEP_MS,
            stop_event=self._stopped,
            rust_timeout=tick_ms,
            yield_on_timeout=True,
            recursive=False,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            if changes or changed:
                often = time.monotonic() - told_at < 2 * settle_s
                longest_s = _LONGEST_SETTLE * self._settle_s
                settle_s = min(2 * settle_s, longest_s) if often else self._settle_s
                if self._stopped.wait(settle_s):
                    return now
                changed, told_at = False, time.monotonic()
                self._on_change()
                after = folder_times(self._roots)
                if after.keys() != now.keys():
                    return now  # the new folders' own changes are told once they are watched
            elif any(is_folder(root) for root in absent):
                return now
        return now

    def _poll(self, before: Mapping[str, int]) -> None:
        while not self._stopped.wait(self._poll_s):
            now = folder_times(self._roots)
            if now != before:
                before = now
                self._on_change()
