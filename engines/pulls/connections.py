"""The connections that fetch the parts of one file, and what watches over them.

Threads, because that is what reads fastest: sockets, writes and hashing let go of Python's lock.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.formats.web import Tries, Web
from modeldeck.engines.formats.web_errors import Unreachable, unreachable
from modeldeck.engines.pulls.control import Control
from modeldeck.engines.pulls.digests import Follower
from modeldeck.engines.pulls.errors import DiskFull, PullError, Stopped
from modeldeck.engines.pulls.journal import Journal
from modeldeck.engines.pulls.link import Link
from modeldeck.engines.pulls.part_file import disk_trouble, make_room, write_at
from modeldeck.engines.pulls.parts import Parts
from modeldeck.engines.pulls.told import Told
from modeldeck.engines.units import MIB

_MOST: Final = 4
_NOTED_BYTES: Final = 1 * MIB
"""Bytes of a part between two lines of the journal."""

_SYNC_SECONDS: Final = 10.0
_TELL_SECONDS: Final = 0.1


class Connections:
    """The connections that fetch the parts, and what watches over them."""

    def __init__(
        self,
        link: Link,
        file: int,
        path: Path,
        parts: Parts,
        journal: Journal,
        control: Control,
        told: Told,
    ) -> None:
        self._link = link
        self._file = file
        self._path = path
        self._parts = parts
        self._journal = journal
        self._control = control
        self._told = told
        self._change = threading.Condition()
        self._error: ModeldeckError | None = None
        self._left = 0

    def fetch(self, follower: Follower) -> str:
        """Fetch what is missing; the digest of the whole. Raises ModeldeckError."""
        missing = sum(
            self._parts.done(part) < self._parts.length(part)
            for part in range(-(-self._parts.size_bytes // self._parts.part_bytes))
        )
        count = min(_MOST, missing)
        threads = [threading.Thread(target=self._connection, daemon=True) for _ in range(count)]
        threads.append(threading.Thread(target=self._keep_synced, daemon=True))
        self._left = count
        for thread in threads:
            thread.start()
        try:
            digest = self._watch(follower)
        finally:
            with self._change:
                self._error = self._error or Stopped()
                self._change.notify_all()
            for thread in threads:
                thread.join()
            self._sync()
        return digest

    def _watch(self, follower: Follower) -> str:
        """Hash after the connections, and say how far they are."""
        parts = self._parts
        told_at, verified_at = -1, -1
        while True:
            with self._change:
                if self._left:
                    self._change.wait(_TELL_SECONDS)
                done, frontier = parts.done_bytes, parts.frontier
                error, left = self._error, self._left
            if done != told_at:
                told_at = done
                self._told.progress(done, parts.size_bytes)
            if error is not None and not left:
                raise error
            self._control.check()
            if not left and follower.at != verified_at:
                verified_at = follower.at
                self._told.verifying(verified_at)
            follower.follow(frontier, _TELL_SECONDS)
            if not left and error is None and follower.at == parts.size_bytes:
                self._told.verifying(follower.at)
                return follower.hexdigest()

    def _connection(self) -> None:
        """Fetch part after part, until there is none or something is wrong."""
        try:
            with self._link.connection() as web:
                while (part := self._take()) is not None:
                    self._part(web, part)
        except DiskFull:
            self._fail(DiskFull(str(self._path.parent), self._missing()))
        except ModeldeckError as error:
            self._fail(error)
        except OSError as error:
            self._fail(disk_trouble(self._path, error, self._missing()))
        finally:
            with self._change:
                self._left -= 1
                self._change.notify_all()

    def _take(self) -> int | None:
        with self._change:
            return None if self._error is not None else self._parts.take()

    def _fail(self, error: ModeldeckError) -> None:
        with self._change:
            self._error = self._error or error

    def _missing(self) -> int:
        with self._change:
            return self._parts.size_bytes - self._parts.done_bytes

    def _part(self, web: Web, part: int) -> None:
        parts = self._parts
        tries = Tries(web)
        try:
            while parts.done(part) < parts.length(part) and self._error is None:
                before = parts.done(part)
                try:
                    self._some(web, part)
                except Unreachable as error:
                    self._control.check()
                    gained = parts.done(part) > before
                    tries = Tries(web) if gained else tries  # a line that drops is not given up on
                    tries.again(error, gained=gained)
        finally:
            with self._change:
                parts.give_back(part)

    def _some(self, web: Web, part: int) -> None:
        """What one request gives of a part."""
        parts = self._parts
        at = parts.start(part) + parts.done(part)
        end = parts.start(part) + parts.length(part)
        noted = at
        asked = self._link.range(web, at, end - 1, parts.size_bytes)
        with asked as pieces, web.told(self._link.url):
            try:
                for piece in pieces:
                    self._control.check()
                    write_at(self._file, piece[: end - at], at, self._path)
                    at = min(at + len(piece), end)
                    if at == end or self._error is not None:
                        return
                    if at - noted >= _NOTED_BYTES:
                        self._note(part, at - noted)
                        noted = at
                    self._control.pace(len(piece))
            finally:
                self._note(part, at - noted)
        raise unreachable(self._link.url, "it hung up before the end")

    def _note(self, part: int, count: int) -> None:
        if count:
            with self._change:
                self._parts.add(part, count)
                self._journal.wrote(part, self._parts.done(part))
                self._change.notify_all()

    def _keep_synced(self) -> None:
        """Force to the disk now and then what has come, so that a reboot costs little."""
        while True:
            with self._change:
                over = self._change.wait_for(
                    lambda: self._left == 0 or self._error is not None, _SYNC_SECONDS
                )
                missing = self._parts.size_bytes - self._parts.done_bytes
            if over:
                return
            self._sync()
            try:
                make_room(self._path.parent, missing)
            except PullError as error:
                self._fail(error)

    def _sync(self) -> None:
        with self._change:
            done = self._parts.snapshot()
        try:
            os.fdatasync(self._file)
            with self._change:
                self._journal.synced(done)
        except OSError as error:
            self._fail(disk_trouble(self._path, error, self._missing()))
