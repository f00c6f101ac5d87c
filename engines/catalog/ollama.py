"""Ollama's store: manifests name models, and their weights lie among blobs named by digest.

``manifests/HOST/NAMESPACE/MODEL/TAG`` is JSON of an OCI image manifest; a layer of the type
``application/vnd.ollama.image.model`` is ``blobs/sha256-HEX``, a GGUF file (Ollama ``server/``).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from modeldeck.engines.catalog.found import Found, found
from modeldeck.engines.catalog.split import FileSet
from modeldeck.engines.catalog.unreadable import Unreadable
from modeldeck.engines.errors import FormatError
from modeldeck.engines.paths import is_file, is_folder
from modeldeck.engines.text import clean_line

_LARGEST: Final = 1 << 50
_MOST_MANIFEST_BYTES: Final = 1 << 20
_MOST_MANIFESTS: Final = 10_000
_DEPTH: Final = 4  # host, namespace, model, tag
_HOST: Final = "registry.ollama.ai"
_NAMESPACE: Final = "library"
_TYPE: Final = "application/vnd.ollama.image."
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def ollama_sets(store: Path, unreadable: Unreadable) -> Iterator[FileSet]:
    """Every model of the store: its weights, its projector, or what is wrong with it.

    A folder that may not be read is added to ``unreadable``.
    """
    seen: set[str] = set()
    for path in _all_manifests(store, unreadable):
        name = model_name(path.parts[-_DEPTH:])
        if name in seen:
            continue
        seen.add(name)
        try:
            weights, projector = _layers(path, store)
            yield FileSet(name, (_blob(store, weights),), projector=_path(store, projector))
        except FormatError as error:
            yield FileSet(name, (_problem(path, error.cause),))


def _all_manifests(store: Path, unreadable: Unreadable) -> Iterator[Path]:
    """Newer versions link theirs from ``manifests-v2``, and read the older ones after them."""
    if is_folder(store / "manifests-v2"):
        yield from _manifests(store / "manifests-v2", unreadable)
    yield from _manifests(store / "manifests", unreadable)


def model_name(parts: tuple[str, ...]) -> str:
    """The name as Ollama writes it: ``qwen3:8b``, ``user/model:tag``, ``hf.co/user/model:tag``."""
    host, namespace, model, tag = parts
    words = [*([] if host == _HOST else [host]), namespace, model]
    if words[0] == _NAMESPACE and len(words) == 2:
        words = words[1:]
    return f"{'/'.join(words)}:{tag}"


def _manifests(folder: Path, unreadable: Unreadable, depth: int = _DEPTH) -> Iterator[Path]:
    """The files that lie exactly as deep as manifests do, in the order of their names."""
    left = _MOST_MANIFESTS
    stack = [(folder, 0)]
    while stack and left:
        here, level = stack.pop()
        try:
            with os.scandir(here) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            unreadable.add(here)
            continue
        below: list[tuple[Path, int]] = []
        for entry in listed:
            left -= 1
            if not left:
                return
            is_folder = entry.is_dir(follow_symlinks=False)
            if level + 1 < depth and is_folder:
                below.append((Path(entry.path), level + 1))
            elif level + 1 == depth and not is_folder and not entry.name.startswith("."):
                yield Path(entry.path)
        stack += reversed(below)


def _layers(path: Path, store: Path) -> tuple[str, str | None]:
    """Digests of weights and projector. Raises FormatError."""
    data = _bytes(path)
    listed = [
        layer
        for digest in listed_manifests(data)
        for layer in read_manifest(_bytes(_blob_path(store, digest)))
    ]
    layers = listed or read_manifest(data)
    weights = [layer.digest for layer in layers if layer.kind == "model"]
    if not weights:
        raise FormatError(
            "Ollama keeps this model in a form that only it can run.", "Run it in Ollama."
        )
    projectors = [layer.digest for layer in layers if layer.kind == "projector"]
    return weights[0], projectors[0] if projectors else None


def _bytes(path: Path) -> bytes:
    from modeldeck.engines.formats.source import open_regular

    try:
        with open_regular(path) as source:
            return source.read_at(0, _MOST_MANIFEST_BYTES + 1)
    except OSError as error:
        raise FormatError(
            f"Ollama's manifest cannot be read ({clean_line(error.strerror or '')}).",
            "Pull the model again.",
        ) from error


class Layer(NamedTuple):
    """One layer of a manifest.

    Attributes:
        kind: ``model``, ``projector``, ``template`` and so on.
        digest: of its blob.
        size_bytes: of its blob; 0 where the manifest does not say.
    """

    kind: str
    digest: str
    size_bytes: int


def read_manifest(data: bytes) -> list[Layer]:
    """The layers of a manifest; what is no layer of Ollama's is left out.

    Raises:
        FormatError: it is no manifest.
    """
    unsound = FormatError("Ollama's manifest of the model is not sound.", "Pull the model again.")
    if len(data) > _MOST_MANIFEST_BYTES:
        raise unsound
    try:
        whole: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise unsound from error
    layers = cast("dict[str, object]", whole).get("layers") if isinstance(whole, dict) else None
    if not isinstance(layers, list):
        raise unsound
    found_layers: list[Layer] = []
    for layer in cast("list[object]", layers):
        if isinstance(layer, dict):
            table = cast("dict[str, object]", layer)
            kind, digest = table.get("mediaType"), table.get("digest")
            if isinstance(kind, str) and isinstance(digest, str) and kind.startswith(_TYPE):
                if _DIGEST.fullmatch(digest) is None:
                    raise unsound
                size = table.get("size")
                sound = isinstance(size, int) and 0 <= size <= _LARGEST
                known = size if sound and isinstance(size, int) else 0
                found_layers.append(Layer(kind.removeprefix(_TYPE), digest, known))
    return found_layers


def listed_manifests(data: bytes) -> list[str]:
    """The digests in a list of manifests, one for each program that can run the model.

    Those of GGUF files only; none for a manifest that is no list.
    """
    try:
        whole: Any = json.loads(data[: _MOST_MANIFEST_BYTES + 1])
    except (ValueError, RecursionError):
        return []
    entries = cast("dict[str, object]", whole).get("manifests") if isinstance(whole, dict) else None
    found_digests: list[str] = []
    for entry in cast("list[object]", entries) if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            table = cast("dict[str, object]", entry)
            digest, kind = table.get("digest"), table.get("format", "gguf")
            if kind == "gguf" and isinstance(digest, str) and _DIGEST.fullmatch(digest):
                found_digests.append(digest)
    return found_digests[:1]


def _blob_path(store: Path, digest: str) -> Path:
    return store / "blobs" / digest.replace(":", "-")


def _path(store: Path, digest: str | None) -> Path | None:
    """The blob's file; None where it is not there."""
    if digest is None:
        return None
    path = _blob_path(store, digest)
    return path if is_file(path) else None


def _blob(store: Path, digest: str) -> Found:
    path = _blob_path(store, digest)
    try:
        return found(path, path.stat())
    except PermissionError:
        return _problem(path, "Its weights in Ollama's store may not be read.")
    except OSError:
        return _problem(path, "Its weights are not in Ollama's store; pull it again.")


def _problem(path: Path, problem: str) -> Found:
    return Found(path, 0, 0, 0, hash(str(path)), problem)
