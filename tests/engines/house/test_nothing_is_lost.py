"""Whatever is deleted or pruned, what was not asked for is still whole; undo brings all back."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from huggingface_hub import scan_cache_dir
from hypothesis import given, settings
from hypothesis import strategies as st

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.scan import scan
from modeldeck.engines.house.carrying_out import delete_for_good, move_to_trash
from modeldeck.engines.house.held import Held, names_of
from modeldeck.engines.house.pruning import plan_pruning
from modeldeck.engines.house.removal import plan_removal
from modeldeck.engines.house.stock import Entry, Stock, take_stock
from modeldeck.engines.house.trash import bins, put_back, trashes
from modeldeck.engines.types import Source
from tests.support.gguf_files import small_gguf
from tests.support.stores import HubCache, OllamaStore, names_below

CONTENTS = "abc"
DATA = {name: small_gguf() + name.encode() for name in CONTENTS}


@dataclass(frozen=True)
class Layout:
    """What lies in the stores.

    Attributes:
        manifests: contents of weights and of the template, for each model of Ollama.
        snapshots: repository, commit, whether ``main`` is there, and the contents of its files.
        files: contents of files in a plain folder.
        linked: contents whose names are hard links of one file.
    """

    manifests: tuple[tuple[str, str], ...]
    snapshots: tuple[tuple[str, str, bool, str], ...]
    files: str
    linked: frozenset[str]


content = st.sampled_from(CONTENTS)
some = st.text(CONTENTS, min_size=1, max_size=3).map(lambda text: "".join(dict.fromkeys(text)))
layouts = st.builds(
    Layout,
    st.lists(st.tuples(content, content), max_size=3).map(tuple),
    st.lists(
        st.tuples(st.sampled_from("rs"), st.sampled_from("12"), st.booleans(), some),
        max_size=3,
        unique_by=lambda row: row[:2],
    ).map(tuple),
    st.text(CONTENTS, max_size=3).map(lambda text: "".join(dict.fromkeys(text))),
    st.frozensets(content),
)


choices = st.lists(st.booleans(), min_size=7, max_size=7)


class Stores:
    """The three stores of a layout, on the disk."""

    def __init__(self, root: Path, layout: Layout) -> None:
        self.root = root
        self.ollama = OllamaStore(root / "ollama")
        self.hub = HubCache(root / "hf" / "hub")
        self.folder = root / "models"
        self.folder.mkdir()
        for at, (model, template) in enumerate(layout.manifests):
            self.ollama.model(f"m{at}", "8b", model=DATA[model], template=template.encode())
        for repository, commit, is_main, files in layout.snapshots:
            named = {f"{name}.gguf": DATA[name] for name in files} | {"README.md": b"card"}
            ref = "main" if is_main else None
            self.hub.snapshot(f"org/{repository}", named, commit * 40, ref)
        for name in layout.files:
            (self.folder / f"f{name}.gguf").write_bytes(DATA[name])
        for name in layout.linked:
            self._link(DATA[name])
        self.places = [self.ollama.place, self.hub.place, Place(Source.FOLDER, self.folder)]

    def _link(self, data: bytes) -> None:
        """Make one file of all that hold ``data``, as ``dedupe`` does."""
        first: Path | None = None
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and not path.is_symlink() and path.read_bytes() == data:
                if first is not None:
                    beside = path.with_name("beside")
                    os.link(first, beside)
                    beside.replace(path)
                first = first or path

    def below(self) -> dict[str, tuple[int, bytes | str]]:
        return names_below(self.ollama.folder, self.hub.folder, self.folder)


def is_whole(held: Held, stock: Stock) -> bool:
    """Whether every file of a name leads to content."""
    if held.source is Source.OLLAMA:
        return any(
            one.name == held.name and held.path in one.blobs and held.path in stock.by_path
            for one in stock.manifests
        )
    entries = [stock.by_path.get(file) for file in held.files]
    return all(entry is not None and not entry.broken for entry in entries)


def blobs_needed(stock: Stock) -> set[Path]:
    """What the manifests of Ollama name."""
    return {blob for one in stock.manifests for blob in one.blobs}


def listed(places: Sequence[Place], stock: Stock) -> list[Held]:
    return list(names_of(scan(places).models, stock))


@settings(max_examples=40)
@given(layouts, choices)
def test_what_was_not_named_stays_whole_and_undo_brings_all_back(
    layout: Layout, chosen: list[bool]
) -> None:
    with tempfile.TemporaryDirectory() as root:
        stores = Stores(Path(root), layout)
        stock = take_stock(stores.places)
        held = listed(stores.places, stock)
        wanted = [one for one, is_chosen in zip(held, cycle(chosen), strict=False) if is_chosen]
        before, needed = stores.below(), blobs_needed(stock)
        present = {blob for blob in needed if blob in stock.by_path}
        removal = plan_removal(wanted, scan(stores.places).models, stock)
        trash = Path(root) / "trash"

        move_to_trash(removal, stores.places, trash, 1.0)

        after = take_stock(stores.places)
        assert all(is_whole(one, after) for one in held if one not in wanted)
        assert blobs_needed(after) & present <= after.by_path.keys()
        assert not scan_cache_dir(stores.hub.folder).warnings
        blocks = sum({e.identity: e.allocated_bytes for e in _files(stock)}.values())
        left = sum({e.identity: e.allocated_bytes for e in _files(after)}.values())
        assert removal.freed_bytes == blocks - left
        for one in bins(trashes(stores.places, trash)):
            assert put_back(one)[1] == ()
        assert stores.below() == before


def _files(stock: Stock) -> list[Entry]:
    return [entry for entry in stock.entries if not entry.is_link]


@settings(max_examples=30)
@given(layouts, choices)
def test_prune_takes_only_what_nothing_names_and_all_of_it(
    layout: Layout, chosen: list[bool]
) -> None:
    with tempfile.TemporaryDirectory() as root:
        stores = Stores(Path(root), layout)
        stock = take_stock(stores.places)
        names = [*blobs_of_links(stock), *(one.path for one in stock.manifests)]
        for path, is_chosen in zip(names, cycle(chosen), strict=False):
            if is_chosen:
                path.unlink()
        stock = take_stock(stores.places)
        held = listed(stores.places, stock)
        whole = [one for one in held if is_whole(one, stock)]
        later = time.time() + 1e6

        delete_for_good(plan_pruning(stock, later).removal)

        after = take_stock(stores.places)
        assert all(is_whole(one, after) for one in whole)
        assert blobs_needed(after) & stock.by_path.keys() <= after.by_path.keys()
        assert not scan_cache_dir(stores.hub.folder).warnings
        again = plan_pruning(after, later)
        assert (again.orphans, again.folders) == ((), ())


def blobs_of_links(stock: Stock) -> list[Path]:
    """The names in snapshots."""
    return [entry.path for entry in stock.entries if entry.is_link]
