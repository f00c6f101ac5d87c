"""One pull from its first byte to its place: what the process that owns pulls runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from modeldeck.engines.catalog.remote_hub import endpoint_of, gated
from modeldeck.engines.catalog.targets import TargetKind, parse_target
from modeldeck.engines.formats.web import Login, Patience
from modeldeck.engines.formats.web_errors import Refused
from modeldeck.engines.pulls.control import Control
from modeldeck.engines.pulls.digests import digest_of
from modeldeck.engines.pulls.errors import PullError
from modeldeck.engines.pulls.link import Link
from modeldeck.engines.pulls.part_file import locked_part
from modeldeck.engines.pulls.places import part_path
from modeldeck.engines.pulls.placing import is_here, prepare, publish, settle, tidy
from modeldeck.engines.pulls.told import Told
from modeldeck.engines.pulls.transfer import Transfer
from modeldeck.engines.pulls.types import FileProgress, Layout, PullState, Wanted, WantedFile
from modeldeck.engines.pulls.wanted import login_for

PATIENCE: Final = Patience(bytes_per_second=2 << 10)
"""With the servers of a pull: a slow line is no reason to hang up."""

_TELL_SECONDS: Final = 0.1
_ROUNDS: Final = 2


@dataclass(frozen=True, slots=True)
class Report:
    """How far a pull has come.

    Attributes:
        state: ``running``, ``verifying`` or ``placing``.
        files: one for each file of the pull; their bytes never become fewer.
        note: what happened last that the user may want to know; may be empty.
    """

    state: PullState
    files: tuple[FileProgress, ...]
    note: str = ""


def run_pull(
    wanted: Wanted,
    environ: Mapping[str, str],
    control: Control,
    told: Callable[[Report], None],
    patience: Patience = PATIENCE,
) -> tuple[Path, ...]:
    """Bring everything, verify it, and put it where it belongs. Blocks; for a thread of its own.

    Args:
        wanted: what and where to.
        environ: as ``wanted`` was resolved with.
        control: stops it, and sets how fast it may be.
        told: is told at most ten times a second, and once at each change of state; from this
            thread.
        patience: with the servers.

    Returns:
        The paths under which the programs of its store find it.

    Raises:
        Stopped: it was stopped; what has come is kept.
        Unreachable: the server gives nothing now; what has come is kept.
        DiskFull: there is no room; what has come is kept.
        Busy: another process brings the same file.
        PullError: it cannot be placed.
        FormatError: the server does what none should.
    """
    if wanted.destination.layout is Layout.HUB_CACHE and not wanted.commit:
        raise PullError(
            "The server does not say which commit this is, so that the Hub's cache cannot hold it.",
            "Pull it into a folder: --to FOLDER.",
        )
    reporter = _Reporter(wanted, told)
    target = parse_target(wanted.target)
    login = login_for(target, environ)
    missing = _missing(wanted, reporter)
    prepare(wanted, [wanted.files[number] for number in missing])
    for _ in range(_ROUNDS):
        for number in missing:
            control.check()
            told_of_it = reporter.told(number)
            try:
                _bring(wanted, wanted.files[number], login, control, told_of_it, patience)
            except Refused as refused:
                if target.kind is TargetKind.HUB and refused.status in (401, 403):
                    raise gated(endpoint_of(environ), target.name) from refused
                raise
        missing = _swept(wanted, missing)
        if missing:
            continue
        reporter.turn(PullState.PLACING)
        placed = publish(wanted)
        missing = _swept(wanted, missing)  # a sweep that did not see the manifest yet
        if not missing:
            tidy(wanted)
            return placed
    raise PullError(
        "Another program removes the files of the download as they come.",
        "Stop it (Ollama does that when it starts), then resume.",
    )


def _missing(wanted: Wanted, reporter: _Reporter) -> list[int]:
    """Which files are not here yet."""
    missing: list[int] = []
    for number, file in enumerate(wanted.files):
        if is_here(wanted, file):
            reporter.progress(number, file.size_bytes or 0, file.size_bytes)
        else:
            missing.append(number)
    return missing


def _swept(wanted: Wanted, brought: list[int]) -> list[int]:
    """What has gone again: a store's own program may remove what nothing refers to yet."""
    known_by_name = wanted.destination.layout is not Layout.FOLDER
    looked_at = range(len(wanted.files)) if known_by_name else brought
    return [number for number in looked_at if not is_here(wanted, wanted.files[number])]


def _bring(
    wanted: Wanted,
    file: WantedFile,
    login: Login | None,
    control: Control,
    told: Told,
    patience: Patience,
) -> None:
    part = part_path(wanted, file)
    expected = digest_of(file.sha256, file.state)
    link = Link(file.url, login, patience, control)
    with locked_part(part) as opened:
        if is_here(wanted, file):  # another process has just been faster
            return
        Transfer(link, opened, part, expected, file.size_bytes, told).run(control)
        settle(part, wanted, file)


class _Reporter:
    """Keeps what was told: bytes never become fewer, nobody is told too often."""

    def __init__(self, wanted: Wanted, told: Callable[[Report], None]) -> None:
        files = tuple(FileProgress(file.name, 0, file.size_bytes) for file in wanted.files)
        self._report = Report(PullState.RUNNING, files)
        self._tell = told
        self._next = 0.0

    def told(self, number: int) -> Told:
        """Who is told of one file."""
        return Told(
            progress=lambda done, total: self.progress(number, done, total),
            note=lambda text: self._change(replace(self._report, note=text)),
            verifying=lambda done: self.verified(number, done),
        )

    def progress(self, number: int, done_bytes: int, total_bytes: int | None) -> None:
        """A file has come so far."""
        files = list(self._report.files)
        before = files[number]
        done = max(done_bytes, before.done_bytes)
        files[number] = replace(before, done_bytes=done, total_bytes=total_bytes)
        state = PullState.RUNNING if done != total_bytes else self._report.state
        report = replace(self._report, state=state, files=tuple(files))
        now = time.monotonic()
        if now >= self._next or state is not self._report.state:
            self._next = now + _TELL_SECONDS
            self._change(report)
        else:
            self._report = report

    def verified(self, number: int, done_bytes: int) -> None:
        """So much of a file that is all here was compared with its digest."""
        files = list(self._report.files)
        files[number] = replace(files[number], verified_bytes=done_bytes)
        report = replace(self._report, state=PullState.VERIFYING, files=tuple(files))
        now = time.monotonic()
        if now >= self._next or report.state is not self._report.state:
            self._next = now + _TELL_SECONDS
            self._change(report)
        else:
            self._report = report

    def turn(self, state: PullState) -> None:
        """It does something else now."""
        if state is not self._report.state:
            self._change(replace(self._report, state=state))

    def _change(self, report: Report) -> None:
        self._report = report
        self._tell(report)
