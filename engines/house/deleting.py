"""Deletes models from wherever they are: looks, plans, and takes the way each store allows.

The one door for the command line and the deck: ``plan``, then ``delete``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.house.carrying_out import Removed, check, delete_for_good, move_to_trash
from modeldeck.engines.house.errors import HouseError
from modeldeck.engines.house.held import every_name, meant_by
from modeldeck.engines.house.in_use import holders_of
from modeldeck.engines.house.manifests import BLOBS, Manifest
from modeldeck.engines.house.ollama_api import Ollama
from modeldeck.engines.house.removal import Removal, plan_removal
from modeldeck.engines.house.stock import Stock, take_stock, with_files
from modeldeck.engines.house.trash import Bin, put_back
from modeldeck.engines.house.turns import home_trash, my_turn
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LocalModel, Source


@dataclass(frozen=True, slots=True)
class Named:
    """A model that is to be deleted.

    Attributes:
        model: a row of the list.
        text: what the user typed, which may mean another name of the same file; empty where the
            row itself was meant: all its names then.
    """

    model: LocalModel
    text: str = ""


def plan(
    wanted: Sequence[Named],
    models: Sequence[LocalModel],
    places: Sequence[Place],
    environ: Mapping[str, str] | None = None,
) -> tuple[Removal, Stock]:
    """What deleting these models means, as the disk is now. Changes nothing.

    With ``environ`` a running Ollama is asked which of them it has in memory.

    Raises:
        HouseError: the demo model is among them.
    """
    if any(one.model.source is Source.DEMO for one in wanted):
        raise HouseError(
            "The demo model is a part of modeldeck.", "Name one of yours: modeldeck ls."
        )
    stock = take_stock(places)
    files = [file for one in wanted for file in _files_of(one.model)]
    stock = with_files(stock, files)
    held = [
        name
        for one in wanted
        for name in (
            meant_by(one.model, one.text, stock) if one.text else every_name(one.model, stock)
        )
    ]
    removal = plan_removal(held, models, stock)
    identities = [(name.device, name.inode) for name in removal.names]
    removal = plan_removal(held, models, stock, holders_of(identities))
    loaded = _loaded(removal, environ) if environ is not None and removal.manifests else ()
    return replace(removal, remarks=(*removal.remarks, *loaded)), stock


def _loaded(removal: Removal, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Sentences about models that Ollama has in memory now."""
    running = Ollama.running(environ)
    if running is None:
        return ()
    with running, contextlib.suppress(HouseError):
        loaded = running.loaded()
        names = [one.name for one in removal.manifests if one.name in loaded]
        return tuple(f"Ollama has {clean_line(name)} in memory now." for name in names)
    return ()


def _files_of(model: LocalModel) -> list[Path]:
    return [*model.files, *([model.projector] if model.projector else [])]


def delete(
    removal: Removal,
    stock: Stock,
    environ: Mapping[str, str],
    now: float,
    *,
    for_good: bool,
    trash: Path | None = None,
) -> Removed:
    """Carry a removal out.

    Models of Ollama are deleted by Ollama itself where it runs with this store and they go for
    good; a store that is not this user's can be changed in no other way.

    The trash is the user's own unless ``trash`` names another; ``now`` is in seconds since 1970.

    Raises:
        HouseError: it may not be done, or was cut short.
    """
    with my_turn():
        return _deleted(removal, stock, environ, now, trash, for_good=for_good)


def bring_back(removal_id: Bin) -> tuple[int, tuple[str, ...]]:
    """Undo a removal (``trash.put_back``). Raises HouseError, OSError."""
    with my_turn():
        return put_back(removal_id)


def _deleted(
    removal: Removal,
    stock: Stock,
    environ: Mapping[str, str],
    now: float,
    trash: Path | None,
    *,
    for_good: bool,
) -> Removed:
    by_ollama = [one for one in removal.manifests if for_good or not _may_change(one)]
    running = Ollama.running(environ) if by_ollama else None
    with running or contextlib.nullcontext():
        asked = [one for one in by_ollama if running is not None and _is_of(running, one)]
        foreign = [one for one in asked if not _may_change(one)]
        if foreign and not for_good:
            raise _only_for_good(foreign[0])
        rest = _without(removal, asked)
        check(rest)
        if running is not None:
            for manifest in asked:
                running.delete(manifest.name)
    if for_good:
        done = delete_for_good(rest)
    else:
        done = move_to_trash(rest, stock.places, trash or home_trash(), now)
    return replace(done, names=len(removal.names), freed_bytes=removal.freed_bytes)


def _is_of(ollama: Ollama, manifest: Manifest) -> bool:
    """Whether a running Ollama has exactly this manifest: it may keep its models elsewhere."""
    return bool(manifest.own_digest) and ollama.models.get(manifest.name) == manifest.own_digest


def _may_change(manifest: Manifest) -> bool:
    folders = (manifest.path.parent, manifest.store / BLOBS)
    return all(os.access(folder, os.W_OK | os.X_OK) for folder in folders)


def _without(removal: Removal, deleted: Sequence[Manifest]) -> Removal:
    """What is left to do when Ollama deleted these manifests, and the blobs only they had."""
    gone = {path for one in deleted for path in (one.path, *one.blobs)}
    return replace(
        removal,
        names=tuple(name for name in removal.names if name.path not in gone),
        folders=tuple(
            folder
            for folder in removal.folders
            if not any(folder in one.path.parents for one in deleted)
        ),
        manifests=tuple(one for one in removal.manifests if one not in deleted),
    )


def _only_for_good(manifest: Manifest) -> HouseError:
    return HouseError(
        f"{clean_line(manifest.name)} is in a store that only Ollama may change, without a trash.",
        "Delete it for good: modeldeck rm --for-good.",
    )
