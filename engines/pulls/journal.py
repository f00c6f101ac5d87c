"""What a part file holds, line for line beside it, so that a pull goes on after any end.

A line is written after the bytes it speaks of. ``w`` says that they were handed to the kernel,
which outlives a killed process but no reboot; ``s`` that they were forced to the disk. So ``w``
counts only while the boot that wrote it lasts. Each line carries its own checksum: half a line, or
what a crash left in its place, counts as nothing. The last line, ``p``, tells the finished file
from any other that may be in its place.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

_MOST_BYTES: Final = 64 << 20
_MOST_PARTS: Final = 1 << 20
_TAIL_BYTES: Final = 4096
_LARGEST: Final = 1 << 50
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")

Kind = Literal["w", "s"]


@dataclass(frozen=True, slots=True)
class Head:
    """What the part file is of.

    Attributes:
        size_bytes: of the file.
        part_bytes: of each part but the last.
        state: what told the file from a later one when it was begun; may be empty.
    """

    size_bytes: int
    part_bytes: int
    state: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What a journal says.

    Attributes:
        head: what the part file is of.
        done: bytes from its start for each part that has some.
    """

    head: Head
    done: Mapping[int, int]


def this_boot() -> str:
    """What tells this boot of the machine from others."""
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        import psutil  # 20 ms

        return f"{psutil.boot_time():.0f}"


def read_journal(data: bytes, boot: str) -> Kept | None:
    """What a journal says, for this boot of the machine; None when its beginning is not sound."""
    head: Head | None = None
    done: dict[int, int] = {}
    wrote_in = ""
    for line in data[:_MOST_BYTES].split(b"\n")[:-1]:
        text = _checked(line)
        if text is None:
            continue
        kind, _, rest = text.partition(" ")
        if kind == "h" and head is None:
            head = _head(rest)
        elif kind == "b":
            wrote_in = rest
        elif kind == "s" or (kind == "w" and wrote_in == boot):
            words = rest.split(" ")
            if len(words) == 2 and all(word.isdecimal() and len(word) < 18 for word in words):
                part, count = map(int, words)
                if part < _MOST_PARTS:
                    done[part] = max(count, done.get(part, 0))
    return Kept(head, done) if head is not None else None


def head_line(head: Head) -> bytes:
    """The first line."""
    fields = {"size": head.size_bytes, "part": head.part_bytes, "state": head.state}
    return _line(f"h {json.dumps(fields)}")


def boot_line(boot: str) -> bytes:
    """The line before those that were written in a boot of the machine."""
    return _line(f"b {boot}")


def part_line(kind: Kind, part: int, count: int) -> bytes:
    """So many bytes of a part are written, or safe on the disk."""
    return _line(f"{kind} {part} {count}")


def write_placed(path: Path, file: Path) -> None:
    """Say in a journal, before ``file`` is moved to its place, which one it is. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    journal = os.open(path, flags, 0o600)
    try:
        os.write(journal, b"\n" + _line(f"p {_identity(file)}"))
        os.fsync(journal)
    finally:
        os.close(journal)


def was_placed(path: Path, file: Path) -> bool:
    """Whether the journal says that ``file`` is the one that was moved there. Raises OSError."""
    try:
        lines = path.read_bytes()[-_TAIL_BYTES:].split(b"\n")
    except OSError:
        return False
    return f"p {_identity(file)}" in map(_checked, lines)


def _identity(file: Path) -> str:
    """A renaming leaves all of this as it is."""
    found = file.stat()
    return f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns}"


class Journal:
    """A journal that is written."""

    def __init__(self, path: Path, kept: Kept | None, head: Head) -> None:
        """Go on with what is kept, or begin anew. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, flags | (0 if kept is not None else os.O_TRUNC), 0o600)
        # What a crash cut short ends here, and hides no line after it.
        start = b"\n" if kept is not None else head_line(head)
        self._write(start + boot_line(this_boot()))

    def wrote(self, part: int, count: int) -> None:
        """So many bytes of a part were handed to the kernel. Raises OSError."""
        self._write(part_line("w", part, count))

    def synced(self, done: Mapping[int, int]) -> None:
        """All this is on the disk. Raises OSError."""
        self._write(b"".join(part_line("s", part, count) for part, count in done.items()))

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)

    def _write(self, lines: bytes) -> None:
        while lines:
            lines = lines[os.write(self._file, lines) :]


def _line(text: str) -> bytes:
    body = text.encode("ascii")
    return b"%s %08x\n" % (body, zlib.crc32(body))


def _checked(line: bytes) -> str | None:
    body, _, check = line.rpartition(b" ")
    if check != b"%08x" % zlib.crc32(body):
        return None
    return body.decode("ascii", "replace")


def _head(text: str) -> Head | None:
    try:
        fields: Any = json.loads(text)
        size, part, state = fields["size"], fields["part"], fields["state"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    if not (isinstance(size, int) and isinstance(part, int) and isinstance(state, str)):
        return None
    sound = 0 <= size <= _LARGEST and 0 < part <= _LARGEST and size // part < _MOST_PARTS
    return Head(size, part, state) if sound else None
