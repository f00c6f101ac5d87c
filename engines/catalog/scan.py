"""Turns the files of all places into the models of one list."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from modeldeck.engines.catalog.found import Found, FoundFolder, found
from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.projectors import PROJECTOR, Projectors
from modeldeck.engines.catalog.reading import NO_MODEL, format_of, read_model, stamp_of
from modeldeck.engines.catalog.split import FileSet, file_sets, parts_beside
from modeldeck.engines.catalog.unreadable import Unreadable
from modeldeck.engines.catalog.walk import MAX_ENTRIES, SUFFIXES, Walk
from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.paths import is_folder
from modeldeck.engines.store.headers import CachedHeader, HeaderCache
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import AlsoSeen, LocalModel, Source

_AT_ONCE: Final = 128

MAX_PROBLEMS: Final = 1000
"""Files with a problem that are listed one by one; more are counted."""


def never() -> bool:
    """The ``should_stop`` of a scan that runs to its end."""
    return False


class Scan(NamedTuple):
    """What a scan found: models sorted by name, and sentences about what it passed over."""

    models: tuple[LocalModel, ...]
    notes: tuple[str, ...]


def scan(
    places: Sequence[Place],
    cache: HeaderCache | None = None,
    should_stop: Callable[[], bool] = never,
) -> Scan:
    """Every model of ``places``. See ``models_of`` for one after the other."""
    notes: list[str] = []
    models = {model.id: model for model in models_of(places, notes, cache, should_stop)}
    return Scan(sorted_by_name(models.values()), tuple(notes))


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

    One physical file is one model, in whichever place it was found first; seen again under another
    name it is yielded again, with that name too, and takes the place of the one before. A file with
    a problem is a model with a problem. A file that goes away meanwhile is left out, and so is what
    only accompanies models (vision projectors, adapters).
    """
    walk = Walk(should_stop)
    seen: set[tuple[int, int]] = set()
    listed: dict[tuple[int, int], LocalModel] = {}
    projectors = Projectors()
    companions = problems = 0
    for place in places:
        for files in _recalled(_sets_of(place, walk), cache):
            if should_stop():
                return
            if files.identity <= seen:
                known = listed.get(files.files[0].identity)
                if known is not None and (more := _also(known, files, place.source)) is not known:
                    listed[files.files[0].identity] = more
                    yield more
                continue
            if problems < MAX_PROBLEMS:
                seen |= files.identity
            kept = cache if problems < MAX_PROBLEMS else None
            read = NO_MODEL if _accompanies(files) else read_model(files, kept)
            if read == NO_MODEL:
                companions += 1
            elif read is not None:
                problems += read.problem is not None
                if read.problem is None or problems <= MAX_PROBLEMS:
                    model = _model(files, place.source, read, projectors)
                    listed[files.files[0].identity] = model
                    yield model
    missed = {p.path for p in places if p.source is Source.FOLDER and not p.made_later}
    absent = [path for path in walk.absent if path in missed]
    notes.extend(_notes(walk, absent, companions, problems))


def _recalled(sets: Iterator[FileSet], cache: HeaderCache | None) -> Iterator[FileSet]:
    """The same, some at a time, their headers asked of the cache together."""
    while some := list(islice(sets, _AT_ONCE)):
        if cache is not None:
            cache.recall(files.path for files in some)
        yield from some


def unreadable_in(places: Iterable[Place], should_stop: Callable[[], bool] = never) -> Unreadable:
    """The folders of ``places`` that a scan passes over; opens no model."""
    walk = Walk(should_stop)
    for place in places:
        for _ in _sets_of(place, walk):
            pass
    return walk.unreadable


def _sets_of(place: Place, walk: Walk) -> Iterator[FileSet]:
    if place.source is not Source.OLLAMA:
        return file_sets(walk.files(place.path))
    from modeldeck.engines.catalog.ollama import ollama_sets

    return ollama_sets(place.path, walk.unreadable)


def _accompanies(files: FileSet) -> bool:
    """Whether the files go with a model, as their names and their folder say."""
    if files.folder is not None:
        return files.folder.companion
    return PROJECTOR.search(files.stem) is not None


def _also(model: LocalModel, files: FileSet, source: Source) -> LocalModel:
    """``model`` with the name it has here as well; itself where that says nothing new."""
    other = AlsoSeen(_name(files), source, files.path)
    names = {(model.name, model.source), *((seen.name, seen.source) for seen in model.also)}
    if (other.name, other.source) in names:
        return model
    return model._replace(also=(*model.also, other))


def _name(files: FileSet) -> str:
    return clean_line(files.stem, 200) or "(no name)"


def model_at(path: Path, cache: HeaderCache | None = None) -> LocalModel:
    """The model that the file or folder at ``path`` is, or is a part of, wherever it lies.

    Raises:
        ModelNotFound: there is nothing, or no model in it.
    """
    sets = list(file_sets(_parts(path)))
    read = read_model(sets[0], cache) if sets else None
    if read is None or read == NO_MODEL:
        what = "holds no model to chat with" if sets else "is nothing that can be read as a model"
        raise ModelNotFound(
            f"{clean_line(str(path))} {what}.", "Name a .gguf file, or see: modeldeck ls."
        )
    return _model(sets[0], Source.FOLDER, read, Projectors())


def models_in(folder: Path, cache: HeaderCache | None = None) -> tuple[LocalModel, ...]:
    """The models whose files lie in ``folder`` itself, by name; none when it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, MAX_ENTRIES)]
    except OSError:
        return ()
    files = (part for name in names for part in _file(folder / name))
    projectors = Projectors()
    read = ((one, read_model(one, cache)) for one in file_sets(files) if not _accompanies(one))
    return sorted_by_name(
        _model(one, Source.FOLDER, header, projectors)
        for one, header in read
        if header is not None and header != NO_MODEL
    )


def _file(path: Path) -> Iterator[Found]:
    if path.name.lower().endswith(SUFFIXES):
        with contextlib.suppress(OSError):
            yield found(path, path.stat())


def _parts(path: Path) -> list[Found | FoundFolder]:
    """The folder at ``path`` if that is a model; the file there, with the parts beside it."""
    if is_folder(path):
        folder = Walk(never).folder(path)
        return [folder] if folder is not None else []
    files: list[Found | FoundFolder] = []
    for part in parts_beside(path):
        with contextlib.suppress(OSError):
            files.append(found(part, part.stat()))
    return files


def _notes(walk: Walk, absent: Sequence[Path], companions: int, problems: int) -> Iterator[str]:
    for path in absent:
        yield f"The folder {clean_line(str(path))} is not there."
    if walk.unreadable.count:
        yield f"Passed over because they cannot be read: {walk.unreadable}."
    if walk.too_deep:
        yield f"Not entered because they lie too deep: {_count(walk.too_deep, 'folder')}."
    if walk.stopped_early:
        yield f"There are more than {MAX_ENTRIES:,} files; the rest was not looked at."
    if problems > MAX_PROBLEMS:
        yield f"Not listed because of their problems: {problems - MAX_PROBLEMS:,} more files."
    if companions:
        kinds = "projectors, adapters"
        yield f"Not listed because they go with models: {_count(companions, 'file')} ({kinds})."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _model(
    files: FileSet, source: Source, read: CachedHeader, projectors: Projectors
) -> LocalModel:
    projector = files.projector
    if source is not Source.OLLAMA and files.folder is None:
        projector = projectors.beside(files.path, files.stem, read.header)
    return LocalModel(
        name=_name(files),
        path=files.path,
        files=tuple(file.path for file in files.files),
        source=source,
        format=read.header.format if read.header else format_of(files),
        size_bytes=sum(file.size_bytes for file in files.files),
        header=read.header,
        problem=read.problem,
        projector=projector,
        stamp=stamp_of(files).text if read.header else "",
    )
