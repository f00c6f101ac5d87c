"""Kills a child before each step it takes on the disk, one after the other, and looks what is left.

``python -m tests.support.killed WHAT FOLDER`` prints how many steps there were.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.house.carrying_out import move_to_trash
from modeldeck.engines.house.contents import twins_in
from modeldeck.engines.house.duplicates import Method, plan_merge
from modeldeck.engines.house.file_systems import methods_of
from modeldeck.engines.house.journal import Journal
from modeldeck.engines.house.linking import merge
from modeldeck.engines.house.removal import GoingName, Removal
from modeldeck.engines.house.stock import take_stock
from modeldeck.engines.house.trash import bins, put_back
from modeldeck.engines.house.unlinking import undo
from modeldeck.engines.house.unnamed import emptied
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.digests import SCHEMA, Digests
from modeldeck.engines.types import Source
from tests.support.stores import HubCache, OllamaStore, names_below

BIG = bytes(range(256)) * 4096 + b"end"
_STEPS = ("open", "os.")


def dies_at(step: int, act: Callable[[], object]) -> bool:
    """Run ``act`` in a child that is killed before its step number ``step``; whether it was."""
    child = os.fork()
    if child == 0:
        left = step

        def count(event: str, _: object) -> None:
            nonlocal left
            if event.startswith(_STEPS):
                left -= 1
                if left == -1:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        act()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return os.WIFSIGNALED(status)


def dedupe(folder: Path) -> int:
    """Merge three copies."""
    store, house = folder / "store", folder / "house"
    for step in itertools.count():
        shutil.rmtree(folder, ignore_errors=True)
        store.mkdir(parents=True)
        files = [store / f"{name}.gguf" for name in "abc"]
        for file in files:
            file.write_bytes(BIG)
        stock = take_stock([Place(Source.FOLDER, store)])
        database = Database.in_memory((SCHEMA,))
        contents = list(twins_in(stock, Digests(database)))
        database.close()
        plan = plan_merge(contents, methods_of([store], Method.HARD_LINK))
        journal = Journal(house)
        killed = dies_at(step, partial(merge, plan, journal, 0))
        assert all(file.read_bytes() == BIG for file in files), step
        for run in journal.runs():
            undo(run, journal)
        assert sorted(store.iterdir()) == files, step
        assert all(file.read_bytes() == BIG for file in files), step
        assert len({file.stat().st_ino for file in files}) == 3, step
        if not killed:
            return step
    raise AssertionError


def trash(folder: Path) -> int:
    """Move models to the trash."""
    return _binned(folder, undoing=False)


def undo_trash(folder: Path) -> int:
    """Bring them back."""
    return _binned(folder, undoing=True)


def _binned(folder: Path, *, undoing: bool) -> int:
    home = folder / "trash"
    for step in itertools.count():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        ollama = OllamaStore(folder / "ollama")
        ollama.model("m", "8b", model=BIG[:20_000], template=b"t")
        hub = HubCache(folder / "hf" / "hub")
        hub.snapshot("org/m", {"m.gguf": BIG[:20_000], "README.md": b"card"})
        before = names_below(ollama.folder, hub.folder)
        stock = take_stock([ollama.place, hub.place])
        entries = sorted(stock.entries, key=lambda e: (not e.is_link, "blobs" in e.path.parts))
        names = tuple(GoingName(e.path, e.device, e.inode, e.size_bytes) for e in entries)
        folders = emptied({entry.path for entry in entries}, stock)
        removal = Removal(("m",), names, folders, (), 0, 0, ())
        act = partial(move_to_trash, removal, stock.places, home, 1.0)
        if undoing:
            act()
            killed = dies_at(step, lambda: [put_back(one) for one in bins([home])])
        else:
            killed = dies_at(step, act)
        for one in bins([home]):
            assert not put_back(one)[1], step
        assert names_below(ollama.folder, hub.folder) == before, step
        if not killed:
            return step
    raise AssertionError


if __name__ == "__main__":
    print(
        {"dedupe": dedupe, "trash": trash, "undo": undo_trash}[sys.argv[1]](
            Path(sys.argv[2]) / "killed"
        )
    )
