"""Ollama's manifests with everything they name: what may not go while one of them is there."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from modeldeck.engines.catalog.ollama import model_name

MANIFESTS: Final = "manifests"
BLOBS: Final = "blobs"

_MOST_BYTES: Final = 1 << 20
_DIGEST: Final = re.compile(r"sha256[:-]([0-9a-f]{64})")


class Manifest(NamedTuple):
    """One manifest of Ollama's store.

    Attributes:
        name: as Ollama writes it; of a file too deep or not deep enough, its path in the store.
        path: of the manifest.
        store: the folder with ``manifests`` and ``blobs``.
        digests: of everything it names, in hex; empty where it cannot be read.
        sound: whether it could be read. What one that could not names is not known.
        own_digest: SHA-256 of the manifest itself, which Ollama shows as the model's.
    """

    name: str
    path: Path
    store: Path
    digests: tuple[str, ...]
    sound: bool
    own_digest: str

    @property
    def blobs(self) -> tuple[Path, ...]:
        """The files that it names."""
        return tuple(blob_path(self.store, digest) for digest in self.digests)


def blob_path(store: Path, digest: str) -> Path:
    """Where Ollama keeps a blob: ``blobs/sha256-HEX``."""
    return store / BLOBS / f"sha256-{digest}"


def digest_of_blob(path: Path) -> str | None:
    """The digest that a blob's name says, in hex; None for what is no finished blob."""
    match = _DIGEST.fullmatch(path.name)
    return match[1] if match and path.parent.name == BLOBS else None


def manifests_of(store: Path) -> Iterator[Manifest]:
    """Every manifest of a store, however deep; folders that may not be read are passed over."""
    root = store / MANIFESTS
    for folder, below, files in os.walk(root):
        below.sort()
        for name in sorted(files):
            if not name.startswith("."):
                yield _read(Path(folder, name), store)


def manifest_path(store: Path, name: str) -> Path:
    """Where the manifest of ``qwen3:8b``, ``user/model:tag`` or ``host/user/model:tag`` lies."""
    place, _, tag = name.rpartition(":")
    words = (place or name).split("/")
    if len(words) == 1:
        words = ["library", *words]
    if len(words) == 2:
        words = ["registry.ollama.ai", *words]
    return store.joinpath(MANIFESTS, *words, tag if place else "latest")


def _read(path: Path, store: Path) -> Manifest:
    parts = path.relative_to(store / MANIFESTS).parts
    name = model_name((parts[0], parts[1], parts[2], parts[3])) if len(parts) == 4 else str(path)
    try:
        data = path.read_bytes() if path.stat().st_size <= _MOST_BYTES else b""
        digests = _digests(data)
    except (OSError, ValueError, RecursionError, TypeError, KeyError):
        return Manifest(name, path, store, (), sound=False, own_digest="")
    own = hashlib.sha256(data).hexdigest()
    return Manifest(name, path, store, digests, sound=True, own_digest=own)


def _digests(data: bytes) -> tuple[str, ...]:
    """All digests that a manifest names. Raises ValueError, TypeError or KeyError."""
    whole = cast("dict[str, Any]", json.loads(data))
    named: list[Any] = [whole["config"], *whole["layers"]]
    found: list[str] = []
    for layer in named:
        match = _DIGEST.fullmatch(layer["digest"])
        if match is None:
            raise ValueError("no digest")
        found.append(match[1])
    return tuple(dict.fromkeys(found))
