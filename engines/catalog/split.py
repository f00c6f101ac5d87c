"""Which files are one model: ``gguf-split`` cuts it into ``NAME-00001-of-00003.gguf`` and so on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from modeldeck.engines.catalog.found import Found, FoundFolder
from modeldeck.engines.catalog.hub import name_in_hub
from modeldeck.engines.catalog.walk import SUFFIXES

_PART: Final = re.compile(
    r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.gguf)",
    re.DOTALL | re.IGNORECASE,
)
_MAX_PARTS: Final = 999
_NAMED: Final = 6


class FileSet(NamedTuple):
    """The files of one model.

    Attributes:
        stem: the name without the numbers and the suffix.
        files: in the order of their numbers, never empty.
        missing: numbers of the parts that are not there.
        parts: how many parts there should be.
        projector: the file that goes with it, where the store says so.
        folder: set where a folder is the model; ``files`` are those with weights.
    """

    stem: str
    files: tuple[Found, ...]
    missing: tuple[int, ...] = ()
    parts: int = 1
    projector: Path | None = None
    folder: FoundFolder | None = None

    @property
    def path(self) -> Path:
        """What is handed to an engine: the folder, or the first file."""
        return self.folder.path if self.folder else self.files[0].path

    @property
    def states(self) -> tuple[Found, ...]:
        """Every file that what is known of the model was read from."""
        return (*self.files, *self.folder.papers) if self.folder else self.files

    @property
    def identity(self) -> frozenset[tuple[int, int]]:
        """The physical files."""
        return frozenset(file.identity for file in self.files)

    @property
    def problem(self) -> str | None:
        """Why the files cannot be read as a model, a sentence; None when they may be."""
        for file in self.states:
            if file.problem:
                return file.problem
        if self.folder is not None and self.folder.pickles:
            return "Pickle weights; not loaded, because opening them can run code."
        if not self.missing:
            return None
        numbers = [str(number) for number in self.missing[:_NAMED]]
        if len(self.missing) > _NAMED:
            numbers.append(f"{len(self.missing) - _NAMED} more")
        if len(numbers) == 1:
            return f"Part {numbers[0]} of {self.parts} is missing."
        return f"Parts {', '.join(numbers[:-1])} and {numbers[-1]} of {self.parts} are missing."


def file_sets(files: Iterable[Found | FoundFolder]) -> Iterator[FileSet]:
    """Files of one walk as models: whole ones as they come, then split ones, incomplete ones last.

    Only the parts of split models are held, so that a folder of any size takes little memory.
    """
    split: dict[tuple[Path, str, int], dict[int, Found]] = {}
    for file in files:
        if isinstance(file, FoundFolder):
            yield folder_set(file)
            continue
        part = _part(file.path)
        if part is None:
            yield FileSet(_stem(file.path), (file,))
        else:
            stem, number, count = part
            split.setdefault((file.path.parent, stem, count), {})[number] = file
    yield from sorted(_joined(split), key=lambda one: bool(one.missing))


def folder_set(folder: FoundFolder) -> FileSet:
    """A folder as a model, under its own name or that of its repository."""
    name = name_in_hub(folder.path) or folder.path.name
    return FileSet(name, folder.weights, folder.missing, folder.parts, folder=folder)


def _joined(split: Mapping[tuple[Path, str, int], Mapping[int, Found]]) -> Iterator[FileSet]:
    for (_, stem, count), parts in split.items():
        present = tuple(parts[number] for number in sorted(parts))
        missing = tuple(number for number in range(1, count + 1) if number not in parts)
        yield FileSet(stem, present, missing, count)


def parts_beside(path: Path) -> list[Path]:
    """The paths that the parts of the model of ``path`` would have; itself when it is no part."""
    part = _part(path)
    if part is None:
        return [path]
    stem, _, count = part
    suffix = path.suffix
    return [
        path.with_name(f"{stem}-{number:05}-of-{count:05}{suffix}")
        for number in range(1, count + 1)
    ]


def _part(path: Path) -> tuple[str, int, int] | None:
    match = _PART.fullmatch(path.name)
    if match is None:
        return None
    number, count = int(match["number"]), int(match["count"])
    return (match["stem"], number, count) if 1 <= number <= count <= _MAX_PARTS else None


def _stem(path: Path) -> str:
    name = path.name
    return name[: -len(path.suffix)] if name.lower().endswith(SUFFIXES) else name
