"""The folders where models may be."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from modeldeck.engines.types import Source

# Where Ollama keeps models when it runs as a service.
_OLLAMA_SERVICE = (
    Path("/usr/share/ollama/.ollama/models"),
    Path("/var/lib/ollama/.ollama/models"),
    Path("/var/lib/ollama/models"),
)


class Place(NamedTuple):
    """A folder (or one file) to look through, and the store it belongs to.

    Attributes:
        source: the store.
        path: of the folder.
        made_later: it comes with the first model in it, so that nobody misses it before.
    """

    source: Source
    path: Path
    made_later: bool = False


def default_places(
    model_dirs: Iterable[Path],
    environ: Mapping[str, str],
    home: Path,
    platform: str = sys.platform,
) -> tuple[Place, ...]:
    """The user's folders, ours, then where other programs keep models. Reads nothing.

    Follows the variables of those stores: ``XDG_DATA_HOME`` for ours, ``HF_HUB_CACHE`` (once
    ``HUGGINGFACE_HUB_CACHE``) and ``HF_HOME`` (``huggingface_hub/constants.py``), ``LLAMA_CACHE``
    (llama.cpp's ``common.cpp``), ``XDG_CACHE_HOME``, ``OLLAMA_MODELS``.
    """

    def named(*variables: str) -> Path | None:
        for value in filter(None, map(environ.get, variables)):
            return _expanded(Path(value), home)
        return None

    cache = named("XDG_CACHE_HOME") or home / ".cache"
    data = named("XDG_DATA_HOME") or home / ".local" / "share"
    hub = named("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")
    caches = home / "Library" / "Caches" if platform == "darwin" else cache
    return (
        *(Place(Source.FOLDER, _expanded(folder, home)) for folder in model_dirs),
        Place(Source.FOLDER, data / "modeldeck" / "models", made_later=True),
        Place(Source.HUGGING_FACE, hub or (named("HF_HOME") or cache / "huggingface") / "hub"),
        Place(Source.LLAMA_CPP, named("LLAMA_CACHE") or caches / "llama.cpp"),
        *_of(Source.OLLAMA, named("OLLAMA_MODELS"), home / ".ollama" / "models", *_OLLAMA_SERVICE),
        *_of(Source.LM_STUDIO, home / ".lmstudio" / "models", cache / "lm-studio" / "models"),
        *_of(
            Source.TEXT_GENERATION_WEBUI,
            home / "text-generation-webui" / "user_data" / "models",
            home / "text-generation-webui" / "models",
        ),
    )


def _of(source: Source, *folders: Path | None) -> Iterator[Place]:
    yield from (Place(source, folder) for folder in dict.fromkeys(folders) if folder is not None)


def _expanded(path: Path, home: Path) -> Path:
    return home.joinpath(*path.parts[1:]) if path.parts[:1] == ("~",) else path
