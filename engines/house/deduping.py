"""Looks for weights that are stored more than once: the one door to it. Changes no model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.house.contents import open_file, twins_in
from modeldeck.engines.house.duplicates import Content, Merge, Method, plan_merge
from modeldeck.engines.house.file_systems import methods_of, share_blocks
from modeldeck.engines.house.stock import Entry, Identity, take_stock
from modeldeck.engines.paths import cache_dir
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.digests import SCHEMA, Digests


def digests_path() -> Path:
    """Where digests are kept; it may be deleted, they are found again."""
    return cache_dir() / "digests.db"


def look_for_twins(
    places: Sequence[Place],
    method: Method | None,
    on_read: Callable[[Entry], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Merge:
    """What is stored more than once in ``places``, and what could share one file.

    ``method`` is wanted for all file systems; None takes a reflink where there are some, which
    changes nothing for a program that writes into one of the files. ``on_read`` is called before a
    file is read through.

    Raises:
        StoreError: what is kept of files read before cannot be opened.
    """
    stock = take_stock(places, should_stop)
    database = Database.open(digests_path(), (SCHEMA,))
    try:
        contents = list(twins_in(stock, Digests(database), on_read, should_stop))
    finally:
        database.close()
    folders = {entry.path.parent for content in contents for entry in content.names}
    return plan_merge(contents, methods_of(sorted(folders), method), list(_shared(contents)))


def _shared(contents: Sequence[Content]) -> Iterator[frozenset[Identity]]:
    """Pairs of files with the same content that lie in the same blocks already."""
    firsts: dict[tuple[str, int], list[Entry]] = {}
    for content in contents:
        entry = content.names[0]
        others = firsts.setdefault((content.sha256, entry.device), [])
        for other in others:
            with (
                contextlib.suppress(OSError),
                open_file(entry.path) as one,
                open_file(other.path) as two,
            ):
                if share_blocks(one, two):
                    yield frozenset({entry.identity, other.identity})
        others.append(entry)
