"""Shapes kept from one judging to the next: what a header says does not change with the options."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modeldeck.engines.fit.shape import Shape, Unjudged
from modeldeck.engines.fit.shape_text import Written, decode, encode
from modeldeck.engines.store.database import StoreError, is_text
from modeldeck.engines.store.shapes import KeptShape, ShapeStore

if TYPE_CHECKING:
    from modeldeck.engines.fit.kept import Kept
    from modeldeck.engines.types import LocalModel, ModelHeader

_MAKERS: Final = ("architectures", "hparams", "layers", "phases", "shape", "shape_text", "shaping")


class Shapes:
    """The shapes of the models of a list: a third of a judging's time is left.

    They outlive the program where there is a store. Verdicts are not kept: they are made anew for
    every context and card.
    """

    def __init__(self, store: ShapeStore | None = None) -> None:
        self._store = store
        self._kept: dict[str, tuple[ModelHeader, Shape | Unjudged]] = {}
        self._folders: dict[str, tuple[ModelHeader, Kept | Unjudged]] = {}
        self._unsaved: dict[str, KeptShape] = {}
        self._makers = _state_of_makers()

    def __len__(self) -> int:
        return len(self._kept) + len(self._folders)

    def of(self, model: LocalModel, header: ModelHeader) -> Shape | Unjudged:
        """The shape of ``model``, made anew when its header was read anew."""
        kept = self._kept.get(model.id)
        if kept is not None and kept[0] is header:
            return kept[1]
        from modeldeck.engines.fit.shaping import shape_of  # 3 ms, for what is not kept yet

        shape = shape_of(header)
        self._kept[model.id] = (header, shape)
        if _can_be_kept(model):
            self._unsaved[model.id] = KeptShape(self._made_from(model), *encode(shape))
        return shape

    def kept_of(self, model: LocalModel, header: ModelHeader) -> Kept | Unjudged:
        """What an engine for folders keeps of ``model``, made anew for a header read anew."""
        made = self._folders.get(model.id)
        if made is not None and made[0] is header:
            return made[1]
        from modeldeck.engines.fit.kept import kept_of  # with what it needs 3 ms

        self._folders[model.id] = (header, kept_of(header))
        return self._folders[model.id][1]

    def recall(self, models: Iterable[LocalModel]) -> None:
        """Take from the store what is not at hand; a store that cannot be read has nothing."""
        wanted = {
            model.id: (model, model.header)
            for model in models
            if model.header and model.id not in self._kept and _can_be_kept(model)
        }
        if self._store is None or not wanted:
            return
        with contextlib.suppress(StoreError):
            for path, kept in self._store.of(wanted):
                model, header = wanted[path]
                if kept.stamp == self._made_from(model):
                    with contextlib.suppress(ValueError, LookupError, TypeError, struct.error):
                        self._kept[path] = (header, decode(Written(kept.shape, kept.tables)))

    def save(self) -> None:
        """Keep for the next start what was made; a store that cannot be written only slows it."""
        unsaved, self._unsaved = self._unsaved, {}
        if self._store is not None and unsaved:
            with contextlib.suppress(StoreError):
                self._store.keep(unsaved)

    def keep_only(self, models: Iterable[str]) -> None:
        """Forget every other model."""
        wanted = frozenset(models)
        self._kept = {model: made for model, made in self._kept.items() if model in wanted}
        self._folders = {model: made for model, made in self._folders.items() if model in wanted}

    def _made_from(self, model: LocalModel) -> str:
        return f"{self._makers} {model.stamp}"


def _can_be_kept(model: LocalModel) -> bool:
    return bool(model.stamp) and is_text(model.id)


def _state_of_makers() -> str:
    """Which code makes shapes: those that other code made are made anew."""
    folder = Path(__file__).parent
    states = [(folder / f"{name}.py").stat() for name in _MAKERS]
    return ",".join(f"{state.st_size}.{state.st_mtime_ns}" for state in states)
