"""LoRA adapters on this machine, and for which models they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from modeldeck.engines.catalog.found import FoundFolder
from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.projectors import PROJECTOR
from modeldeck.engines.catalog.reading import NO_MODEL, stamp_of
from modeldeck.engines.catalog.split import file_sets
from modeldeck.engines.catalog.walk import Walk
from modeldeck.engines.errors import FormatError, ModelNotFound
from modeldeck.engines.formats.adapter import AdapterSizes, adapter_sizes
from modeldeck.engines.formats.gguf import read_gguf
from modeldeck.engines.formats.source import open_regular
from modeldeck.engines.store.headers import HeaderCache
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import Source

_MOST: Final = 64


class FoundAdapter(NamedTuple):
    """One adapter's file and what it says."""

    path: Path
    sizes: AdapterSizes


def adapter_at(path: Path) -> AdapterSizes:
    """What the file of an adapter says.

    Raises:
        ModelNotFound: it cannot be read.
        FormatError: it is no adapter that llama.cpp applies.
    """
    try:
        with open_regular(path) as source:
            return adapter_sizes(read_gguf(source))
    except OSError as error:
        reason = clean_line(error.strerror or str(error))
        raise ModelNotFound(
            f"The adapter {clean_line(str(path))} cannot be read ({reason}).", "Name a LoRA's file."
        ) from error


def adapters_in(places: Sequence[Place], headers: HeaderCache) -> Iterator[FoundAdapter]:
    """The adapters among the files that the last scan found to be no models; 64 at most.

    Only files are opened whose headers were read then, so that nothing large is read anew.
    """
    walk, found = Walk(lambda: found >= _MOST), 0
    for place in places:
        if place.source in (Source.OLLAMA, Source.DEMO):
            continue
        for files in file_sets(walk.files(place.path)):
            if isinstance(files.files[0], FoundFolder) or PROJECTOR.search(files.stem):
                continue
            if headers.get(files.path, stamp_of(files)) != NO_MODEL:
                continue
            try:
                yield FoundAdapter(files.path, adapter_at(files.path))
            except (FormatError, ModelNotFound):
                continue
            found += 1
