"""Gives a GGUF to Ollama: its bytes stay where they are, the store gets a name for them.

The blob becomes a reflink or a hard link of the file, or a copy where that was asked for; a running
Ollama then makes the model of it (``POST /api/create``), else the manifest is written here, last.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.house.contents import open_file, sha256_of
from modeldeck.engines.house.duplicates import BESIDE
from modeldeck.engines.house.errors import HouseError
from modeldeck.engines.house.file_systems import reflink
from modeldeck.engines.house.manifests import blob_path, manifest_paths
from modeldeck.engines.house.ollama_api import Ollama
from modeldeck.engines.house.ollama_layers import image_of, template_of, weights_layer
from modeldeck.engines.house.trash import sync_folder
from modeldeck.engines.paths import is_folder
from modeldeck.engines.store.database import StoreError
from modeldeck.engines.store.digests import Digests, FileState
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LocalModel, ModelFormat, ModelHeader, Source
from modeldeck.engines.units import file_size

_BLOCK_BYTES: Final = 1 << 20
_TEMPLATE: Final = "tokenizer.chat_template"
_MOST_TEMPLATE: Final = 1 << 20
_PART: Final = r"[a-z0-9][a-z0-9._-]{0,79}"
_NAME: Final = re.compile(rf"(?:{_PART}/)?{_PART}(?::{_PART})?", re.IGNORECASE)


class How(StrEnum):
    """How the store came to have the bytes."""

    THERE = "there"
    REFLINK = "reflink"
    HARD_LINK = "hardlink"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Import:
    """A plan to give a model to Ollama.

    Attributes:
        name: in Ollama, with its tag.
        files: ``model`` and perhaps ``projector``, by kind.
        store: of Ollama; None where only a running Ollama can write into it.
        header: of the model.
        copies: one has to be made: file and store are on different file systems.
        size_bytes: of all files.
        remarks: sentences the user should read.
    """

    name: str
    files: Mapping[str, Path]
    store: Path | None
    header: ModelHeader
    copies: bool
    size_bytes: int
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """What was done.

    Attributes:
        how: the bytes of each file came into the store.
        digests: of the files, in hex.
        by_ollama: a running Ollama made the model; else the manifest was written here.
    """

    how: Mapping[str, How]
    digests: Mapping[str, str]
    by_ollama: bool


def name_for(model: LocalModel) -> str:
    """A name for Ollama out of a model's own."""
    words = re.sub(r"[^a-z0-9._-]+", "-", model.name.lower().rpartition("/")[2])
    return f"{words.strip('._-')[:80] or 'model'}:latest"


def plan_import(model: LocalModel, name: str, places: Sequence[Place]) -> Import:
    """What giving a model to Ollama means. Changes nothing.

    Raises:
        HouseError: it cannot be given, or not under that name.
    """
    if model.format is not ModelFormat.GGUF or model.header is None or len(model.files) != 1:
        raise HouseError(
            f"{model.name} is no single sound GGUF file.",
            "Join a split one first: llama-gguf-split --merge.",
        )
    if not _NAME.fullmatch(name) or ".." in name:
        raise HouseError(
            f"“{clean_line(name, 80)}” is no name for Ollama.", "Write it like qwen3:8b."
        )
    name = name if ":" in name else f"{name}:latest"
    store = _store(places)
    if store and any(os.path.lexists(path) for path in manifest_paths(store, name)):
        raise _taken(name)
    files = {"model": Path(os.path.realpath(model.path))}
    if model.projector is not None:
        files["projector"] = Path(os.path.realpath(model.projector))
    try:
        device = store.stat().st_dev if store else None
        status = [path.stat() for path in files.values()]
    except OSError as error:
        raise _failed(error) from error
    remarks: list[str] = []
    if template_of(jinja_of(files["model"])) is None:
        remarks.append("Its chat template is of no known family; Ollama may hand it bare text.")
    return Import(
        name=name,
        files=files,
        store=store,
        header=model.header,
        copies=any(one.st_dev != device for one in status),
        size_bytes=sum(one.st_size for one in status),
        remarks=tuple(remarks),
    )


def carry_out_import(
    plan: Import, digests: Digests, environ: Mapping[str, str], *, may_copy: bool = False
) -> Imported:
    """Give the model to Ollama. What is there already is used.

    Raises:
        HouseError: it would take a copy that was not asked for, or it did not work. A blob that
            was made stays for the next try, or for ``prune``.
    """
    if plan.copies and not may_copy:
        where = "on different disks" if plan.store else "not this user's to join"
        raise HouseError(
            f"{clean_line(str(plan.files['model']))} and Ollama's store are {where}.",
            f"Allow a copy of {file_size(plan.size_bytes)}: modeldeck import --copy.",
        )
    try:
        found = {kind: _digest(path, digests) for kind, path in plan.files.items()}
        if plan.store is None:
            return _uploaded(plan, found, environ)
        how: dict[str, How] = {}
        for kind, path in plan.files.items():
            blob = blob_path(plan.store, found[kind])
            blob.parent.mkdir(parents=True, exist_ok=True)
            how[kind] = bring(path, blob, found[kind], may_copy=may_copy)
        running = Ollama.running(environ)
        if running is not None:
            with running as ollama:
                if all(ollama.has_blob(f"sha256:{digest}") for digest in found.values()):
                    _create(ollama, plan, found)
                    return Imported(how, found, by_ollama=True)
        _write_manifest(plan, plan.store, found)
    except OSError as error:
        raise _failed(error) from error
    return Imported(how, found, by_ollama=False)


def _uploaded(plan: Import, digests: Mapping[str, str], environ: Mapping[str, str]) -> Imported:
    """Hand the files to a running Ollama. Raises HouseError, OSError."""
    running = Ollama.running(environ)
    if running is None:
        raise HouseError(
            "No Ollama answers, and there is no store of it that you may write into.",
            "Start Ollama, or set OLLAMA_HOST or OLLAMA_MODELS.",
        )
    how: dict[str, How] = {}
    with running as ollama:
        if plan.name in ollama.models:
            raise _taken(plan.name)
        for kind, path in plan.files.items():
            digest = f"sha256:{digests[kind]}"
            how[kind] = How.THERE
            if not ollama.has_blob(digest):
                ollama.upload(digest, path)
                how[kind] = How.COPY
        _create(ollama, plan, digests)
    return Imported(how, digests, by_ollama=True)


def _create(ollama: Ollama, plan: Import, digests: Mapping[str, str]) -> None:
    ollama.create(
        plan.name, {plan.files[kind].name: f"sha256:{digest}" for kind, digest in digests.items()}
    )


def bring(path: Path, blob: Path, digest: str, *, may_copy: bool) -> How:
    """Give a file's content the name of a blob. Raises OSError, HouseError."""
    if os.path.lexists(blob):
        if blob.stat().st_size != path.stat().st_size:
            raise HouseError(
                f"Ollama's blob {blob.name[:19]}… is damaged.", "Pull that model in Ollama again."
            )
        return How.THERE
    beside = blob.with_name(f"{BESIDE}{secrets.token_hex(8)}")
    try:
        how = _made(path, beside, may_copy=may_copy)
        if how is How.COPY and sha256_of(beside) != digest:
            raise HouseError("The file changed while it was copied.", "Try it again.")
        os.link(beside, blob)
        sync_folder(blob.parent)
    finally:
        beside.unlink(missing_ok=True)
    return how


def _made(path: Path, beside: Path, *, may_copy: bool) -> How:
    with open_file(path) as source:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        target = os.open(beside, flags, 0o644)
        try:
            with contextlib.suppress(OSError):
                reflink(source, target)
                return How.REFLINK
        finally:
            os.close(target)
        beside.unlink()
        with contextlib.suppress(OSError):
            os.link(path, beside, follow_symlinks=False)
            return How.HARD_LINK
        if not may_copy:
            raise HouseError(
                "The file system allows neither a reflink nor a hard link.",
                "Allow a copy: modeldeck import --copy.",
            )
        target = os.open(beside, flags, 0o644)
        try:
            while block := os.read(source, _BLOCK_BYTES):
                view = memoryview(block)
                while view:
                    view = view[os.write(target, view) :]
            os.fsync(target)
        finally:
            os.close(target)
    return How.COPY


def jinja_of(path: Path) -> str:
    """The chat template that a GGUF carries; empty without one."""
    from modeldeck.engines.errors import FormatError
    from modeldeck.engines.formats.gguf import read_with_spans  # 10 ms
    from modeldeck.engines.formats.source import open_regular

    try:
        with open_regular(path) as source:
            first, last = read_with_spans(source)[1].entries[_TEMPLATE]
            first += 8 + len(_TEMPLATE) + 4 + 8  # its key, its type, its length
            return source.read_at(first, min(last - first, _MOST_TEMPLATE)).decode(
                "utf-8", "replace"
            )
    except (FormatError, OSError, KeyError):
        return ""


def _taken(name: str) -> HouseError:
    return HouseError(
        f"Ollama has a model {name} already.", f"Choose another name, or: modeldeck rm {name}."
    )


def _store(places: Sequence[Place]) -> Path | None:
    """The first store that this user may write into."""
    stores = [place.path for place in places if place.source is Source.OLLAMA]
    there = [path for path in stores if is_folder(path)]
    for path in there:
        folder = path / "blobs" if is_folder(path / "blobs") else path
        if os.access(folder, os.W_OK | os.X_OK):
            return path
    return None


def _digest(path: Path, digests: Digests) -> str:
    status = path.stat()
    state = FileState(path, status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino)
    with contextlib.suppress(StoreError):
        if (kept := digests.of(state)) is not None:
            return kept
    digest = sha256_of(path)
    with contextlib.suppress(StoreError):
        digests.keep(state, digest)
    return digest


def _write_manifest(plan: Import, store: Path, digests: Mapping[str, str]) -> None:
    layers = [
        weights_layer(kind, digests[kind], path.stat().st_size) for kind, path in plan.files.items()
    ]
    image = image_of(plan.header, layers, template_of(jinja_of(plan.files["model"])))
    for digest, data in image.blobs.items():
        _write(blob_path(store, digest), data)
    _write(manifest_paths(store, plan.name)[-1], image.manifest)


def _write(path: Path, data: bytes) -> None:
    """A small file, whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{BESIDE}{secrets.token_hex(8)}")
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(0o644)
        beside.rename(path)
        sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def _failed(error: OSError) -> HouseError:
    return HouseError(
        f"It could not be given to Ollama: {clean_line(error.strerror or str(error))}.",
        "Look at the rights of Ollama's store, and at the room on its disk.",
    )
