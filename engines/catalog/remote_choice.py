"""Which files of a repository are meant. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from modeldeck.engines.catalog.projectors import PROJECTOR
from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.text import clean_line

PART: Final = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)
"""The name of one file of a model in several."""

_PREFERRED: Final = ("q4_k_m", "q4_0", "iq4_xs", "mxfp4", "q5_k_m", "q8_0")
_SHOWN: Final = 6


def choose_files(
    names: Iterable[str], wanted: str, *, all_variants: bool = False
) -> list[list[str]]:
    """The files of the model that ``wanted`` names, in order; of every model for all variants.

    Args:
        names: of all files of a repository.
        wanted: a file, a quantisation (``Q4_K_M``), or empty for the usual one.
        all_variants: everything that ``wanted`` allows.

    Raises:
        ModelNotFound: nothing answers to it.
    """
    models = _grouped(names)
    if not models:
        raise ModelNotFound(
            "The repository has no GGUF file.", "Look for one with GGUF in its name."
        )
    named = wanted.lower()
    found = models
    if named:
        found = {stem: files for stem, files in models.items() if named in map(str.lower, files)}
        found = found or {s: files for s, files in models.items() if _has_word(s, named)}
    if not found:
        there = ", ".join(sorted(clean_line(stem, 60) for stem in models)[:_SHOWN])
        raise ModelNotFound(
            f"The repository has no “{clean_line(wanted, 60)}”.", f"There are {there}."
        )
    if all_variants:
        return list(found.values())
    for quantisation in _PREFERRED:
        for stem, files in found.items():
            if _has_word(stem, quantisation):
                return [files]
    return [next(iter(found.values()))]


def is_model_file(name: str) -> bool:
    """Whether a file holds a model in GGUF, or a part of one: a projector does not."""
    return name.lower().endswith(".gguf") and not PROJECTOR.search(name.rpartition("/")[2])


def _grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """GGUF files by model: the parts of a split one together, projectors left out."""
    models: dict[str, list[str]] = {}
    for name in sorted(names):
        if is_model_file(name):
            part = PART.fullmatch(name)
            stem = part[1] if part else name[: -len(".gguf")]
            models.setdefault(stem, []).append(name)
    return models


def _has_word(stem: str, word: str) -> bool:
    return re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9_])", stem.lower()) is not None
