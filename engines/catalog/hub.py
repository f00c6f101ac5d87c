"""The Hugging Face cache: which repository and revision a folder in it is.

``models--ORG--NAME/snapshots/REVISION`` holds links to the files of one revision, and
``refs/NAME`` says which revision a branch stood at (``huggingface_hub/file_download.py``).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

SNAPSHOTS: Final = "snapshots"
MAIN: Final = "main"

_REPOSITORY: Final = "models--"
_MOST_REFS: Final = 64
_MOST_REF_BYTES: Final = 128
_SHORT: Final = 7


def name_in_hub(folder: Path) -> str | None:
    """``org/name`` for a snapshot, or a folder in one, None for anywhere else. Opens only ``refs``.

    A revision other than that of ``main`` is named too: by its branch, else by its first digits.
    """
    parts = folder.parts
    for at in range(len(parts) - 1, 1, -1):
        if parts[at - 1] == SNAPSHOTS and parts[at - 2].startswith(_REPOSITORY):
            return _name(Path(*parts[: at - 1]), parts[at], parts[at + 1 :])
    return None


def _name(repository: Path, revision: str, inside: Sequence[str]) -> str:
    name = "/".join([*repository.name.removeprefix(_REPOSITORY).split("--"), *inside])
    branches = [branch for branch, at in revisions(repository).items() if at == revision]
    if MAIN in branches:
        return name
    return f"{name}@{branches[0] if branches else revision[:_SHORT]}"


def main_first(snapshots: Path, folders: Sequence[Path]) -> list[Path]:
    """The snapshots of one repository with that of ``main`` before the others."""
    main = revisions(snapshots.parent).get(MAIN)
    return sorted(folders, key=lambda folder: folder.name != main)


def revisions(repository: Path) -> dict[str, str]:
    """Revision by branch; what is no small regular file is passed over."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError), os.scandir(repository / "refs") as entries:
        for _, entry in zip(range(_MOST_REFS), entries, strict=False):
            with contextlib.suppress(OSError):
                status = entry.stat()
                if stat.S_ISREG(status.st_mode) and status.st_size <= _MOST_REF_BYTES:
                    data = Path(entry.path).read_bytes()[:_MOST_REF_BYTES]
                    found[entry.name] = data.decode("ascii", "replace").strip()
    return found
