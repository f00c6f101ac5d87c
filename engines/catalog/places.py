"""The folders where models may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modeldeck.engines.types import Source


@dataclass(frozen=True, slots=True)
class Place:
    """A folder (or one file) to look through, and the store it belongs to."""

    source: Source
    path: Path


def default_places(
    model_dirs: Iterable[Path], environ: Mapping[str, str], home: Path
) -> tuple[Place, ...]:
    """The user's folders, then the Hugging Face cache and llama.cpp's.

    Follows the variables of those stores: ``HF_HUB_CACHE``, ``HF_HOME``, ``LLAMA_CACHE``,
    ``XDG_CACHE_HOME``.
    """
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    hub = environ.get("HF_HUB_CACHE")
    hugging_face = (
        Path(hub) if hub else Path(environ.get("HF_HOME") or cache / "huggingface") / "hub"
    )
    llama_cpp = Path(environ.get("LLAMA_CACHE") or cache / "llama.cpp")
    return (
        *(Place(Source.FOLDER, folder) for folder in model_dirs),
        Place(Source.HUGGING_FACE, hugging_face.expanduser()),
        Place(Source.LLAMA_CPP, llama_cpp.expanduser()),
    )
