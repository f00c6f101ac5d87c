"""Turns the files of all places into the models of one list."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.walk import SUFFIX, Found, WalkCounts, walk
from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.gguf import GgufFile, read_gguf
from modeldeck.engines.formats.header import header_of
from modeldeck.engines.formats.source import open_regular
from modeldeck.engines.store.headers import CachedHeader, HeaderCache, Stamp
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LocalModel, ModelFormat, ModelHeader, Source

_PART: Final = re.compile(r"^(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})$", re.DOTALL)
_PROJECTOR: Final = re.compile(r"(^|[-_.])mmproj", re.IGNORECASE)
_MAX_PARTS: Final = 999


def never() -> bool:
    """The ``should_stop`` of a scan that runs to its end."""
    return False


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found: models sorted by name, and sentences about what it passed over."""

    models: tuple[LocalModel, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    source: Source
    files: tuple[Found, ...]
    missing: int


def scan(
    places: Sequence[Place],
    cache: HeaderCache | None = None,
    should_stop: Callable[[], bool] = never,
) -> Scan:
    """Every model of ``places``. See ``models_of`` for one after the other."""
    notes: list[str] = []
    models = list(models_of(places, notes, cache, should_stop))
    return Scan(sorted_by_name(models), tuple(notes))


def sorted_by_name(models: Iterable[LocalModel]) -> tuple[LocalModel, ...]:
    """Models by name without regard to case, then by path."""
    return tuple(sorted(models, key=lambda model: (model.name.lower(), model.id)))


def models_of(
    places: Sequence[Place],
    notes: list[str],
    cache: HeaderCache | None = None,
    should_stop: Callable[[], bool] = never,
) -> Iterator[LocalModel]:
    """Yield each model as its header is read; sentences about the rest go to ``notes``.

    One physical file is one model, in whichever place it was found first. A file with a problem is
    a model with a problem. A file that goes away meanwhile is left out.
    """
    counts = WalkCounts()
    projectors = 0
    seen: set[tuple[int, int]] = set()
    for place in places:
        found: list[Found] = []
        for file in walk(place.path, counts, should_stop):
            if (file.device, file.inode) in seen:
                continue
            seen.add((file.device, file.inode))
            if _PROJECTOR.search(file.path.name):
                projectors += 1
                continue
            found.append(file)
        for group in _groups(found, place.source):
            if should_stop():
                return
            model = _read(group, cache)
            if model is not None:
                yield model
    notes.extend(_notes(counts, projectors))


def _notes(counts: WalkCounts, projectors: int) -> Iterator[str]:
    if counts.unreadable:
        yield f"{counts.unreadable} folders or files could not be read and were passed over."
    if counts.not_regular:
        yield f"{counts.not_regular} entries named like models are no regular files."
    if counts.too_deep:
        yield f"{counts.too_deep} folders lie too deep and were not entered."
    if counts.stopped_early:
        yield "There are too many files; the rest was not looked at."
    if projectors:
        yield f"{projectors} vision projectors (mmproj) belong to models and are not listed."


def _groups(found: Sequence[Found], source: Source) -> Iterator[_Group]:
    """Single files as they are; the parts of a split model as one, named without numbers."""
    split: dict[tuple[Path, str, int], dict[int, Found]] = {}
    for file in found:
        stem = _stem(file.path)
        part = _PART.match(stem)
        count = int(part["count"]) if part else 0
        if part is None or not 1 <= int(part["number"]) <= count <= _MAX_PARTS:
            yield _Group(_shown(stem), source, (file,), 0)
            continue
        parts = split.setdefault((file.path.parent, part["stem"], count), {})
        parts[int(part["number"])] = file
    for (_, stem, count), parts in split.items():
        files = tuple(parts[number] for number in sorted(parts))
        yield _Group(_shown(stem), source, files, count - len(parts))


def _stem(path: Path) -> str:
    name = path.name
    return name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX) else name


def _shown(stem: str) -> str:
    return clean_line(stem, 200) or "(no name)"


def _read(group: _Group, cache: HeaderCache | None) -> LocalModel | None:
    first = group.files[0].path
    stamp = Stamp.of((file.size_bytes, file.mtime_ns, file.inode) for file in group.files)
    cached = cache.get(first, stamp) if cache else None
    if cached is None:
        try:
            cached = CachedHeader(_header(group), None)
        except FormatError as error:
            cached = CachedHeader(None, f"{error.cause} {error.next_step}")
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = clean_line(error.strerror or str(error))
            return _model(group, None, f"The file cannot be read ({reason}).")
        if cache:
            cache.put(first, stamp, cached)
    return _model(group, cached.header, cached.problem)


def _header(group: _Group) -> ModelHeader:
    if group.missing:
        plural = "s are" if group.missing > 1 else " is"
        raise FormatError(
            f"{group.missing} part{plural} missing of a model in"
            f" {group.missing + len(group.files)} parts.",
            "Download the missing files.",
        )
    parts: list[GgufFile] = []
    for file in group.files:
        with open_regular(file.path) as source:
            parts.append(read_gguf(source))
    return header_of(parts)


def _model(group: _Group, header: ModelHeader | None, problem: str | None) -> LocalModel:
    files = tuple(file.path for file in group.files)
    return LocalModel(
        name=group.name,
        path=files[0],
        files=files,
        source=group.source,
        format=ModelFormat.GGUF,
        size_bytes=sum(file.size_bytes for file in group.files),
        header=header,
        problem=problem,
    )
