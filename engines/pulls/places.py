"""Where the files of a pull lie while they come, and where each ends up. Reads nothing.

The part files are below the destination, so that the last step is a rename on one file system. The
stores' own programs look past a folder whose name begins with a dot.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from modeldeck.engines.pulls.part_file import PART
from modeldeck.engines.pulls.types import Layout, Wanted, WantedFile

UNDER_WAY: Final = ".modeldeck"
"""The folder with part files and their journals."""


def repository_folder(wanted: Wanted) -> Path:
    """The folder of a repository in the cache of the Hub's own tools."""
    return wanted.destination.folder / f"models--{wanted.repository.replace('/', '--')}"


def parts_folder(wanted: Wanted) -> Path:
    """Where the part files of a pull are."""
    root = (
        repository_folder(wanted)
        if wanted.destination.layout is Layout.HUB_CACHE
        else wanted.destination.folder
    )
    return root / UNDER_WAY


def part_path(wanted: Wanted, file: WantedFile) -> Path:
    """The part file of one file, whichever state of it is wanted: the journal says which it has."""
    key = f"{wanted.repository}\n{file.name if wanted.repository else file.url}"
    return parts_folder(wanted) / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}{PART}"


def resting_place(wanted: Wanted, file: WantedFile) -> Path:
    """Where the content of a file ends up.

    In the Hub's cache that is a blob named by its digest, in Ollama's store too; in a plain folder
    the file itself, below its owner's and its repository's name, as LM Studio keeps them.
    """
    folder = wanted.destination.folder
    match wanted.destination.layout:
        case Layout.HUB_CACHE:
            return repository_folder(wanted) / "blobs" / file.state
        case Layout.OLLAMA_STORE:
            return folder / "blobs" / file.name
        case _:
            if wanted.target.startswith("hf:"):
                return folder.joinpath(*wanted.repository.split("/"), *file.name.split("/"))
            return folder / file.name
