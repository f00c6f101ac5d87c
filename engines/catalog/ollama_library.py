"""Names of Ollama's library: a chosen list with its date, and whatever name is typed."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.errors import ModelNotFound

_FILE = Path(__file__).with_name("ollama_library.toml")


class LibraryModel(NamedTuple):
    """One name and its tags, small to large."""

    name: str
    tags: tuple[str, ...]


class OllamaLibrary(NamedTuple):
    """The chosen list, and when it was made, in seconds since 1970."""

    models: tuple[LibraryModel, ...]
    as_of: float


@lru_cache(1)
def library() -> OllamaLibrary:
    """The list that comes with modeldeck."""
    whole = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    models = tuple(LibraryModel(name, tuple(tags)) for name, tags in whole["models"].items())
    made = datetime.fromisoformat(whole["as_of"]).replace(tzinfo=UTC)
    return OllamaLibrary(models, made.timestamp())


def library_search(text: str) -> tuple[LibraryModel, ...]:
    """The models whose names hold ``text``; a ``name:tag`` that is typed comes first."""
    words = text.strip().casefold()
    found = tuple(one for one in library().models if words in one.name)
    name, colon, tag = text.strip().rpartition(":")
    typed = name if colon else tag
    exact = any(one.name == typed for one in found)
    if not words or (exact and not colon) or not _is_name(text.strip()):
        return found
    if not colon:
        return found or (LibraryModel(typed, ("latest",)),)
    return (LibraryModel(name, (tag,)), *(one for one in found if one.name != name))


def _is_name(text: str) -> bool:
    try:
        parse_target(f"ollama:{text}")
    except ModelNotFound:
        return False
    return True
