"""Ollama's manifests with everything they name: what may not go while one of them is there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from modeldeck.engines.catalog.ollama import model_name

MANIFESTS: Final = "manifests"
NEWER_MANIFESTS: Final = "manifests-v2"
BLOBS: Final = "blobs"

_MOST_BYTES: Final = 1 << 20
_ANY_DIGEST: Final = re.compile(rb"sha256[:-]([0-9a-f]{64})")
_DIGEST: Final = re.compile(r"sha256[:-]([0-9a-f]{64})")


class Manifest(NamedTuple):
    """One manifest of Ollama's store.

    Attributes:
        name: as Ollama writes it; of a file too deep or not deep enough, its path in the store.
        path: of the manifest.
        store: the folder with ``manifests`` and ``blobs``.
        digests: of everything it names and of itself, in hex; empty where it cannot be read.
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
    for root in manifest_roots(store):
        for folder, below, files in os.walk(root):
            below.sort()
            for name in sorted(files):
                if not name.startswith("."):
                    yield _read(Path(folder, name), root, store)


def manifest_roots(store: Path) -> tuple[Path, ...]:
    """The folders of a store that hold manifests, whether they are there or not.

    Newer versions write ``manifests-v2``, whose files are links to blobs, and read both.
    """
    return store / NEWER_MANIFESTS, store / MANIFESTS


def manifest_paths(store: Path, name: str) -> tuple[Path, ...]:
    """Where the manifest of ``qwen3:8b``, ``user/model:tag`` or ``host/user/model:tag`` may lie.

    The last one is that of all versions of Ollama.
    """
    place, _, tag = name.rpartition(":")
    words = (place or name).split("/")
    if len(words) == 1:
        words = ["library", *words]
    if len(words) == 2:
        words = ["registry.ollama.ai", *words]
    tag = tag if place else "latest"
    return tuple(root.joinpath(*words, tag) for root in manifest_roots(store))


def _read(path: Path, root: Path, store: Path) -> Manifest:
    parts = path.relative_to(root).parts
    name = model_name((parts[0], parts[1], parts[2], parts[3])) if len(parts) == 4 else str(path)
    try:
        data = _small(path)
        own = hashlib.sha256(data).hexdigest()
        digests = (*digests_named(data, store), own)
    except (OSError, ValueError, RecursionError):
        return Manifest(name, path, store, (), sound=False, own_digest="")
    return Manifest(name, path, store, tuple(dict.fromkeys(digests)), sound=True, own_digest=own)


def digests_named(data: bytes, store: Path) -> Iterator[str]:
    """Every digest that a manifest names, and those that the manifests in its list name.

    Any digest counts, wherever it stands: a newer form may name blobs in a new place.

    Raises:
        ValueError: it is no manifest.
        OSError: one of the manifests that it lists cannot be read.
    """
    whole: Any = json.loads(data)
    if not isinstance(whole, dict):
        raise ValueError("no manifest")
    table = cast("dict[str, Any]", whole)
    is_list = isinstance(table.get("manifests"), list)
    if not is_list and not (isinstance(table.get("layers"), list) and "config" in table):
        raise ValueError("no manifest")
    for digest in _digests(data):
        yield digest
        if is_list:
            with contextlib.suppress(FileNotFoundError):
                blob = blob_path(store, digest)
                if blob.stat().st_size <= _MOST_BYTES:
                    yield from _digests(_small(blob))


def _digests(data: bytes) -> list[str]:
    return [match[1].decode() for match in _ANY_DIGEST.finditer(data)]


def _small(path: Path) -> bytes:
    """A small file. Raises OSError, ValueError for a large one."""
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError("too large")
    return path.read_bytes()
