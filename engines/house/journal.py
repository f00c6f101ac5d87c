"""The journal of what was merged: one JSON object a line, synced before each change."""

from __future__ import annotations

import json
import os
import secrets
import stat
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self, cast

from modeldeck.engines.house.duplicates import Method, Replacement
from modeldeck.engines.house.errors import HouseError
from modeldeck.engines.paths import private_dir
from modeldeck.engines.text import clean_line

NAME: Final = "dedupe.jsonl"
_MOST_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Change:
    """One name that was about to share another file's bytes.

    Attributes:
        path: the name.
        keep: a name of the file whose bytes it shares.
        beside: the file that took its place, while it was made.
        method: how.
        sha256: of the content, in hex.
        size_bytes, mode, owner, group, atime_ns, mtime_ns: of the file that the name had before.
        device, inode: of the file that it shares.
    """

    path: str
    keep: str
    beside: str
    method: str
    sha256: str
    size_bytes: int
    mode: int
    owner: int
    group: int
    atime_ns: int
    mtime_ns: int
    device: int
    inode: int

    @classmethod
    def of(cls, one: Replacement, beside: Path, old: os.stat_result) -> Self:
        """The change that a plan asks for."""
        return cls(
            path=str(one.path),
            keep=str(one.keep),
            beside=str(beside),
            method=one.method.value,
            sha256=one.sha256,
            size_bytes=old.st_size,
            mode=stat.S_IMODE(old.st_mode),
            owner=old.st_uid,
            group=old.st_gid,
            atime_ns=old.st_atime_ns,
            mtime_ns=old.st_mtime_ns,
            device=one.kept.device,
            inode=one.kept.inode,
        )

    @property
    def is_hard_link(self) -> bool:
        """Whether the name became a second name of the file."""
        return self.method == Method.HARD_LINK


@dataclass(frozen=True, slots=True)
class Run:
    """One run of ``dedupe --apply``.

    Attributes:
        id: of the run.
        at: when, in seconds since 1970.
        changes: in order; the last may not have happened if the run was cut short.
        undone: whether it was taken back.
    """

    id: str
    at: float
    changes: tuple[Change, ...]
    undone: bool


class Journal:
    """A file that is only ever appended to."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def begin(self, now: float) -> str:
        """A new run's id; nothing is written before its first change."""
        moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
        return f"{moment}-{secrets.token_hex(3)}"

    def about_to(self, run: str, change: Change) -> None:
        """Note a change, safe on the disk when this returns. Raises HouseError."""
        self._append({"run": run, "at": time.time(), "change": asdict(change)})

    def done(self, run: str, change: Change) -> None:
        """Note that it happened. Raises HouseError."""
        self._append({"run": run, "done": change.path})

    def undone(self, run: str) -> None:
        """Note that a run was taken back. Raises HouseError."""
        self._append({"run": run, "undone": True})

    def runs(self) -> list[Run]:
        """Every run with a change, the newest first. A line cut short is passed over."""
        found: dict[str, Run] = {}
        for line in self._lines():
            name = str(line["run"])
            run = found.get(name, Run(name, 0.0, (), undone=False))
            if "change" in line:
                try:
                    change = Change(**line["change"])
                except TypeError:
                    continue  # of another version
                found[name] = Run(
                    name, float(line["at"]), (*run.changes, change), undone=run.undone
                )
            elif "undone" in line:
                found[name] = Run(name, run.at, run.changes, undone=True)
        return [run for run in reversed(found.values()) if run.changes]

    def _lines(self) -> list[dict[str, Any]]:
        try:
            if self._path.stat().st_size > _MOST_BYTES:
                return []
            text = self._path.read_bytes()
        except OSError:
            return []
        lines: list[dict[str, Any]] = []
        for raw in text.split(b"\n"):
            try:
                line: Any = json.loads(raw) if raw else None
            except ValueError:
                continue
            if isinstance(line, dict) and "run" in line:
                lines.append(cast("dict[str, Any]", line))
        return lines

    def _append(self, record: Mapping[str, object]) -> None:
        try:
            private_dir(self._path.parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o600)
            try:
                # A line that a crash cut short is ended first.
                os.write(descriptor, b"\n" + json.dumps(record).encode() + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise HouseError(
                f"The journal cannot be written: {clean_line(error.strerror or str(error))}.",
                f"Make room or mend the rights of {clean_line(str(self._path.parent))}.",
            ) from error
