"""Which projector (``mmproj``) belongs to which model: told by folder, by name and by width.

Repositories of vision models keep one beside all quantisations of the model, as
``mmproj-F16.gguf`` or with the model's own name in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from modeldeck.engines.errors import FormatError
from modeldeck.engines.types import LocalModel, ModelHeader

PROJECTOR: Final = re.compile(r"(^|[-_.])mmproj", re.IGNORECASE)
"""What the name of a projector's file has in it."""

_MOST_PROJECTORS: Final = 64
_PRECISIONS: Final = ("f16", "fp16", "bf16", "q8", "f32", "fp32")
# Words that name a precision or a part of a file, not a model.
_NO_NAME: Final = re.compile(
    r"(i?q\d.*|f16|fp16|bf16|f32|fp32|mxfp4|ud|[ksmlx]{1,3}|[01]|\d{5}|of|model|mmproj|gguf)"
)
_ENDING: Final = ".gguf"


class Neighbours(NamedTuple):
    """What one folder holds.

    Attributes:
        projectors: file names, sorted.
        one_family: all models in it have the same name but for the quantisation.
    """

    projectors: tuple[str, ...]
    one_family: bool


def words_of(stem: str) -> frozenset[str]:
    """The words of a file's name that name a model."""
    words = re.split(r"[-_.\s]+", stem.lower())
    return frozenset(word for word in words if word and not _NO_NAME.fullmatch(word))


def fitting(stem: str, neighbours: Neighbours) -> tuple[str, ...]:
    """The projectors that may belong to the model called ``stem``, the likeliest first.

    Those with the model's own words in their name; those with no words but their own where the
    folder has only one model. 16-bit ones come before others.
    """
    model = words_of(stem)

    def rank(name: str) -> tuple[int, int]:
        words = re.split(r"[-_.]", name.lower())
        precision = next((i for i, p in enumerate(_PRECISIONS) if p in words), len(_PRECISIONS))
        return -len(words_of(name.removesuffix(_ENDING))), precision

    named = [
        name
        for name in neighbours.projectors
        if (words := words_of(name[: -len(_ENDING)])) <= model and (words or neighbours.one_family)
    ]
    return tuple(sorted(named, key=rank))


def neighbours_of(names: Iterable[str]) -> Neighbours:
    """Sort out a folder by the names of its files; keeps only a few of them."""
    projectors: list[str] = []
    families: set[frozenset[str]] = set()
    for name in names:
        if not name.lower().endswith(_ENDING):
            continue
        if not PROJECTOR.search(name):
            if len(families) < 2:
                families.add(words_of(name[: -len(_ENDING)]))
        elif len(projectors) < _MOST_PROJECTORS:
            projectors.append(name)
    return Neighbours(tuple(sorted(projectors)), len(families) == 1)


class Projectors:
    """Looks beside models, each folder and each projector once."""

    def __init__(self) -> None:
        self._neighbours = lru_cache(maxsize=256)(_neighbours)
        self._width = lru_cache(maxsize=256)(_width)

    def beside(self, path: Path, stem: str, header: ModelHeader | None) -> Path | None:
        """The projector for a model, None without one.

        A projector whose output is not as wide as the model's embedding belongs to another model.
        """
        if header is None:
            return None
        wanted = header.hparams.get(f"{header.architecture}.embedding_length")
        for name in fitting(stem, self._neighbours(path.parent)):
            width = self._width(path.parent / name)
            if isinstance(wanted, int) and width in range(wanted, 8 * wanted + 1, wanted or 1):
                return path.parent / name
        return None


def _neighbours(folder: Path) -> Neighbours:
    try:
        with os.scandir(folder) as entries:
            return neighbours_of(entry.name for entry in entries)
    except OSError:
        return Neighbours((), one_family=False)


def _width(path: Path) -> int:
    """Width of a projector's output (``clip.vision.projection_dim``); 0 when it has none.

    Some are several times as wide as the model: they feed its first blocks too.
    """
    from modeldeck.engines.formats.gguf import read_gguf  # 10 ms that most scans do not need
    from modeldeck.engines.formats.source import open_regular

    try:
        with open_regular(path) as source:
            width = read_gguf(source).metadata.get("clip.vision.projection_dim")
    except (FormatError, OSError):
        return 0
    return width if isinstance(width, int) else 0


def projector_size(model: LocalModel) -> int:
    """Bytes of a model's projector; 0 when it has none, or the file has gone."""
    try:
        return model.projector.stat().st_size if model.projector is not None else 0
    except OSError:
        return 0
