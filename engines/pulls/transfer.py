"""Brings one file into a part file from wherever it stood, and holds it against its digest."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from modeldeck.engines.formats.http_source import Changed
from modeldeck.engines.formats.web import Tries, Web
from modeldeck.engines.formats.web_errors import Unreachable, broken, host, unreachable
from modeldeck.engines.pulls.connections import Connections
from modeldeck.engines.pulls.control import Control
from modeldeck.engines.pulls.digests import Digest, Follower
from modeldeck.engines.pulls.errors import Damaged
from modeldeck.engines.pulls.journal import Head, Journal, Kept, read_journal, this_boot
from modeldeck.engines.pulls.link import Facts, Link
from modeldeck.engines.pulls.part_file import journal_of, make_room, write_at
from modeldeck.engines.pulls.parts import Parts, part_bytes_for
from modeldeck.engines.pulls.told import Told
from modeldeck.engines.units import MIB

_T = TypeVar("_T")

_SMALL_BYTES: Final = 1 * MIB
_TOLD_BYTES: Final = 1 * MIB
_BEGINNINGS: Final = 4


class Transfer:
    """One file on its way into ``part``, beside which a journal lies."""

    def __init__(
        self,
        link: Link,
        file: int,
        part: Path,
        expected: Digest,
        size_bytes: int | None,
        told: Told,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            link: the way to the file.
            file: the part file, open and locked.
            part: the part file; its journal has ``.journal`` at the end of its name.
            expected: what the content is to be.
            size_bytes: as the listing says; None where it does not.
            told: is told.
        """
        self._link = link
        self._file = file
        self._path = part
        self._journal_path = journal_of(part)
        self._expected = expected
        self._size_bytes = size_bytes
        self._told = told

    def run(self, control: Control) -> None:
        """Bring all of it and verify it. Blocks.

        Raises:
            Stopped: it was stopped.
            Unreachable: the server gives nothing now; what has come is kept.
            FormatError: the server does what none should.
            DiskFull: there is no room; what has come is kept.
            Damaged: the content is not what it should be, twice.
        """
        file = self._file
        with self._link.connection() as web:
            for beginning in range(_BEGINNINGS):
                control.check()
                try:
                    self._once(file, web, control)
                    return
                except Changed as change:
                    self._begin_anew(file)
                    if beginning == _BEGINNINGS - 1:
                        raise
                    self._told.note(f"{change.cause} It is begun again.")
                except Damaged:
                    self._begin_anew(file)
                    if beginning:
                        raise
                    self._told.note("What came is damaged: it is fetched again.")

    def _begin_anew(self, file: int) -> None:
        """Forget what is here: the journal first, for it must never speak of what is gone."""
        self._journal_path.unlink(missing_ok=True)
        os.ftruncate(file, 0)

    def _once(self, file: int, web: Web, control: Control) -> None:
        small = self._size_bytes is not None and self._size_bytes <= _SMALL_BYTES
        if small:
            self._whole(file, web, control)
            return
        facts = _patiently(web, lambda: self._link.facts(web))
        if facts.size_bytes is None or not facts.has_ranges:
            if self._journal_path.exists():
                self._told.note(f"{host(self._link.url)} gives no parts now: it is begun again.")
            self._whole(file, web, control)
            return
        self._hold_size(facts.size_bytes)
        self._in_parts(file, facts, facts.size_bytes, control)

    def _hold_size(self, size_bytes: int) -> None:
        if self._size_bytes is not None and size_bytes != self._size_bytes:
            raise broken(
                self._link.url,
                f"its file has {size_bytes:,} bytes where {self._size_bytes:,} are listed",
            )

    def _in_parts(self, file: int, facts: Facts, size_bytes: int, control: Control) -> None:
        state = self._expected.hex or facts.state  # mirrors have the same content by other etags
        kept = self._kept(file, state, size_bytes)
        head = Head(size_bytes, part_bytes_for(size_bytes), state)
        if kept is None:
            self._begin_anew(file)
            os.ftruncate(file, size_bytes)
        else:
            head = kept.head
        parts = Parts(size_bytes, head.part_bytes, kept.done if kept is not None else {})
        make_room(self._path.parent, size_bytes - parts.done_bytes)
        journal = Journal(self._journal_path, kept, head)
        try:
            connections = Connections(
                self._link, file, self._path, parts, journal, control, self._told
            )
            digest = connections.fetch(Follower(file, size_bytes, self._expected))
        finally:
            journal.close()
        self._told.progress(size_bytes, size_bytes)
        self._hold_digest(digest)

    def _kept(self, file: int, state: str, size_bytes: int) -> Kept | None:
        """What is here of the same file; says so when it was another one."""
        try:
            data = self._journal_path.read_bytes()
        except OSError:
            return None
        kept = read_journal(data, this_boot())
        if kept is None or os.fstat(file).st_size != kept.head.size_bytes:
            return None
        if not state:
            return None  # nothing would tell whether the rest is of the same file
        if kept.head.size_bytes != size_bytes or kept.head.state != state:
            if kept.done:
                self._told.note(f"The file changed on {host(self._link.url)}: it is begun again.")
            return None
        return kept

    def _whole(self, file: int, web: Web, control: Control) -> None:
        digest = _patiently(web, lambda: self._whole_once(file, web, control))
        self._hold_digest(digest)

    def _whole_once(self, file: int, web: Web, control: Control) -> str:
        """One answer from its start to its end, hashed as it comes."""
        self._begin_anew(file)
        with self._link.whole(web, self._size_bytes) as (facts, pieces), web.told(self._link.url):
            if facts.size_bytes is not None:
                self._hold_size(facts.size_bytes)
            size = facts.size_bytes if facts.size_bytes is not None else self._size_bytes
            make_room(self._path.parent, size or 0)
            hashed = self._expected.hasher(size or 0)
            at, spoken = 0, 0
            for piece in pieces:
                control.check()
                write_at(file, piece, at, self._path)
                hashed.update(piece)
                at += len(piece)
                if self._size_bytes is not None and at > self._size_bytes:
                    raise broken(self._link.url, "it sends more than the file has")
                if at - spoken >= _TOLD_BYTES:
                    spoken = at
                    web.expect(_TOLD_BYTES)
                    self._told.progress(at, size)
                control.pace(len(piece))
        if size is not None and at < size:
            raise unreachable(self._link.url, "it hung up before the end")
        self._told.progress(at, size if size is not None else at)
        return hashed.hexdigest()

    def _hold_digest(self, found: str) -> None:
        if self._expected.hex and found != self._expected.hex:
            raise Damaged(
                f"What {host(self._link.url)} sent is not the file that is listed: its digest is"
                " another.",
                "Try again later; if it stays so, the file there is broken.",
            )


def _patiently(web: Web, ask: Callable[[], _T]) -> _T:
    tries = Tries(web)
    while True:
        try:
            return ask()
        except Unreachable as error:
            tries.again(error, gained=False)
