"""The names that a model has on the disk: which files each of its rows in the list stands for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from modeldeck.engines.catalog.hub import SNAPSHOTS
from modeldeck.engines.catalog.projectors import PROJECTOR, Projectors
from modeldeck.engines.catalog.split import parts_beside
from modeldeck.engines.catalog.walk import SUFFIXES
from modeldeck.engines.house.stock import Stock, real
from modeldeck.engines.types import LocalModel, Source


class Held(NamedTuple):
    """One name of a model, in one store.

    Attributes:
        name: as listed.
        source: the kind of the store.
        path: the file or folder; for Ollama the blob. Its folder is resolved.
        files: those with weights, as they are called in that store.
        projector: that goes with it there; None without one.
    """

    name: str
    source: Source
    path: Path
    files: tuple[Path, ...]
    projector: Path | None = None

    @property
    def is_folder(self) -> bool:
        """Whether a folder is the model, not a file in it."""
        return self.path not in self.files and self.source is not Source.OLLAMA


def every_name(model: LocalModel, stock: Stock) -> tuple[Held, ...]:
    """All names of a model: that of its row first, then those it has in other places."""
    projector = real(model.projector) if model.projector else None
    first = Held(
        model.name, model.source, real(model.path), tuple(map(real, model.files)), projector
    )
    others = (_held_at(model, real(s.path), s.name, s.source, stock) for s in model.also)
    return (first, *others)


def _held_at(model: LocalModel, path: Path, name: str, source: Source, stock: Stock) -> Held:
    """Another name of a model, with the projector that lies beside it there."""
    projector = None
    if source is not Source.OLLAMA and path in stock.by_path and model.projector is not None:
        stem = path.name.removesuffix(path.suffix)
        projector = Projectors().beside(path, stem, model.header)
    return Held(name, source, path, files_at(path, stock), projector)


def names_of(models: Iterable[LocalModel], stock: Stock) -> tuple[Held, ...]:
    """All names of all models."""
    return tuple(held for model in models for held in every_name(model, stock))


def meant_by(model: LocalModel, text: str, stock: Stock) -> tuple[Held, ...]:
    """The names of ``model`` that ``text`` means: one where it says which, else that of the row.

    A path is always that path: the list has one row for a file that lies there twice.
    """
    held = every_name(model, stock)
    typed = real(Path(text).expanduser())
    if entry := stock.by_path.get(typed):
        at_path = [one for one in held if typed in (one.path, *one.files)]
        first = files_at(typed, stock)[0]
        return tuple(at_path[:1]) or (_held_at(model, first, model.name, entry.source, stock),)
    exact = [one for one in held if one.name == text or one.path == typed]
    return tuple((exact or held)[:1])


def files_at(path: Path, stock: Stock) -> tuple[Path, ...]:
    """The files with weights of the model at ``path``: of a folder those in it."""
    if path in stock.by_path:
        return tuple(part for part in parts_beside(path) if part in stock.by_path)
    return tuple(
        entry.path
        for entry in stock.entries
        if entry.path.parent == path and entry.path.name.endswith((*SUFFIXES, ".safetensors"))
    )


def snapshot_of(path: Path) -> Path | None:
    """The snapshot of the Hugging Face cache that ``path`` is or lies in; None for others."""
    parts = path.parts
    for at in range(len(parts) - 1, 1, -1):
        if parts[at - 1] == SNAPSHOTS and parts[at - 2].startswith("models--"):
            return Path(*parts[: at + 1])
    return None


def holds_another(folder: Path, held: Held, others: Sequence[Held], stock: Stock) -> bool:
    """Whether ``folder`` holds a model beside ``held``, listed or not.

    A second name of a file that is listed elsewhere has no row of its own.
    """
    if any(folder in file.parents for other in others for file in other.files):
        return True
    endings = SUFFIXES if held.is_folder else (*SUFFIXES, ".safetensors")
    return any(
        folder in entry.path.parents
        and entry.path.name.endswith(endings)
        and entry.path not in held.files
        and not PROJECTOR.search(entry.path.name)
        for entry in stock.entries
    )
