"""Deletes a model for the deck: looks what that means, asks, and takes it to the trash."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modeldeck.engines.catalog.places import default_places
from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.house.deleting import Named, delete, plan
from modeldeck.engines.house.errors import HouseError
from modeldeck.engines.house.removal import Removal
from modeldeck.engines.house.stock import Stock
from modeldeck.engines.types import LocalModel
from modeldeck.engines.units import file_size
from modeldeck.tui.state import Notice
from modeldeck.tui.workers import Workers

if TYPE_CHECKING:
    from modeldeck.tui.settings import Settings


@dataclass(frozen=True, slots=True)
class Planned:
    """What deleting one model would mean, as the disk was when it was asked.

    Attributes:
        model_id: of the row.
        removal: what would go.
        stock: of the stores then.
        for_good: there is no trash.
    """

    model_id: str
    removal: Removal
    stock: Stock
    for_good: bool

    def question(self, key: str) -> Notice:
        """What is asked; ``key`` deletes when it is pressed again."""
        titles = self.removal.titles
        does = "deletes it for good" if self.for_good else "moves it to the trash"
        asked = f"{self.removal.question} {key} again {does}, esc keeps it."
        together = (f"It goes under all its names: {', '.join(titles)}.",) if titles[1:] else ()
        return Notice(asked, " ".join((*together, *self.removal.remarks)))


class Deletion:
    """Plans and carries out, one after the other."""

    def __init__(self, workers: Workers, settings: Settings) -> None:
        self._workers = workers
        self._settings = settings

    def plan(
        self,
        model: LocalModel,
        models: Sequence[LocalModel],
        planned: Callable[[Planned], None],
        failed: Callable[[ModeldeckError], None],
    ) -> None:
        """Look what deleting ``model`` would mean."""

        def look() -> Planned:
            places = default_places(self._settings.model_dirs, os.environ, Path.home())
            removal, stock = plan([Named(model)], models, places)
            if not removal.names:
                raise HouseError("None of its files may be deleted from here.", "See: its path.")
            return Planned(model.id, removal, stock, not self._settings.trash_days)

        async def run() -> None:
            try:
                planned(await asyncio.to_thread(look))
            except ModeldeckError as error:
                failed(error)

        self._workers.start("delete", run)

    def carry_out(
        self,
        asked: Planned,
        done: Callable[[Notice], None],
        failed: Callable[[ModeldeckError], None],
    ) -> None:
        """Delete what was planned."""

        def act() -> Notice:
            what = delete(
                asked.removal, asked.stock, os.environ, time.time(), for_good=asked.for_good
            )
            size = file_size(what.freed_bytes)
            titles = ", ".join(asked.removal.titles)
            if not what.trash:
                return Notice(f"{titles} is deleted: {size} are free.")
            days = self._settings.trash_days
            return Notice(
                f"{titles} is in the trash for {days} days ({size}).",
                "modeldeck rm --undo brings it back.",
            )

        async def run() -> None:
            try:
                done(await asyncio.to_thread(act))
            except ModeldeckError as error:
                failed(error)

        self._workers.start("delete", run)
