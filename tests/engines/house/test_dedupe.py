"""Weights that are stored twice are found, share one file, and can be parted again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.house.contents import twins_in
from modeldeck.engines.house.duplicates import Content, Merge, Method, plan_merge
from modeldeck.engines.house.file_systems import methods_of, share_blocks
from modeldeck.engines.house.journal import Journal
from modeldeck.engines.house.linking import merge
from modeldeck.engines.house.stock import Entry, Stock, take_stock
from modeldeck.engines.house.unlinking import undo
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.digests import SCHEMA, Digests
from modeldeck.engines.types import Source
from tests.support.stores import HubCache, OllamaStore, sha256

BIG = os.urandom(2 << 20)
DEVICE = 1


def plan(stock: Stock, method: Method = Method.HARD_LINK, read: list[Path] | None = None) -> Merge:
    database = Database.in_memory((SCHEMA,))
    try:
        seen = read if read is not None else []
        contents = list(twins_in(stock, Digests(database), lambda e: seen.append(e.path)))
    finally:
        database.close()
    folders = [place.path for place in stock.places]
    return plan_merge(contents, methods_of(folders, method))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "models"
    path.mkdir()
    return path


@pytest.fixture
def hub(tmp_path: Path) -> HubCache:
    return HubCache(tmp_path / "hf" / "hub")


@pytest.fixture
def ollama(tmp_path: Path) -> OllamaStore:
    return OllamaStore(tmp_path / "ollama")


def places_of(folder: Path, *stores: HubCache | OllamaStore) -> list[Place]:
    return [Place(Source.FOLDER, folder), *(store.place for store in stores)]


def test_three_stores_share_one_file_and_stay_sound(
    folder: Path, hub: HubCache, ollama: OllamaStore, tmp_path: Path
) -> None:
    (folder / "m.gguf").write_bytes(BIG)
    link = hub.snapshot("org/m", {"m.gguf": BIG}) / "m.gguf"
    ollama.model("m", "8b", model=BIG)
    read: list[Path] = []

    found = plan(take_stock(places_of(folder, hub, ollama)), read=read)
    done = merge(found, Journal(tmp_path / "house"), now=0)

    blocks = (folder / "m.gguf").stat().st_blocks * 512
    assert read == [folder / "m.gguf"]
    assert found.saved_bytes == done.saved_bytes == 2 * blocks
    inodes = {path.stat().st_ino for path in (folder / "m.gguf", link, ollama.path(BIG))}
    assert len(inodes) == 1
    assert link.is_symlink()
    assert not scan_cache_dir(hub.folder).warnings
    assert plan(take_stock(places_of(folder, hub, ollama))).twins == ()


def test_undo_gives_each_name_its_own_file_as_it_was(folder: Path, tmp_path: Path) -> None:
    files = [folder / name for name in ("a.gguf", "b.gguf", "c.gguf")]
    for at, file in enumerate(files):
        file.write_bytes(BIG)
        os.utime(file, ns=(at * 10**9, at * 10**9))
    before = [(file.stat().st_mtime_ns, file.stat().st_mode) for file in files]
    journal = Journal(tmp_path / "house")
    merge(plan(take_stock(places_of(folder))), journal, now=0)
    assert len({file.stat().st_ino for file in files}) == 1

    (run,) = journal.runs()
    undone = undo(run, journal)

    assert len(undone.paths) == 2
    assert len({file.stat().st_ino for file in files}) == 3
    assert [(file.stat().st_mtime_ns, file.stat().st_mode) for file in files] == before
    assert all(file.read_bytes() == BIG for file in files)
    assert [run.undone for run in journal.runs()] == [True]


def test_a_file_that_changed_since_stays(folder: Path, tmp_path: Path) -> None:
    (folder / "a.gguf").write_bytes(BIG)
    (folder / "b.gguf").write_bytes(BIG)
    found = plan(take_stock(places_of(folder)))
    (one,) = found.replacements
    changed = BIG[:-1] + bytes([BIG[-1] ^ 1])
    one.path.write_bytes(changed)
    os.utime(one.path, ns=(one.entry.mtime_ns, one.entry.mtime_ns))

    done = merge(found, Journal(tmp_path / "house"), now=0)

    assert done.replaced == ()
    assert [kept.reason for kept in done.kept] == ["Its content is not the same after all."]
    assert one.path.read_bytes() == changed


def test_a_blob_that_is_not_what_its_name_says_is_not_believed(
    hub: HubCache, ollama: OllamaStore, tmp_path: Path
) -> None:
    hub.snapshot("org/m", {"m.gguf": BIG})
    ollama.model("m", "8b", model=BIG)
    damaged = BIG[: 1 << 20] + bytes([BIG[1 << 20] ^ 1]) + BIG[(1 << 20) + 1 :]
    ollama.path(BIG).write_bytes(damaged)
    found = plan(take_stock([hub.place, ollama.place]))
    assert len(found.replacements) == 1

    done = merge(found, Journal(tmp_path / "house"), now=0)

    assert done.replaced == ()
    assert ollama.path(BIG).read_bytes() == damaged


def test_a_program_that_has_the_old_file_open_keeps_it(folder: Path, tmp_path: Path) -> None:
    (folder / "a.gguf").write_bytes(BIG)
    (folder / "b.gguf").write_bytes(BIG)
    found = plan(take_stock(places_of(folder)))
    (one,) = found.replacements

    with one.path.open("rb") as running:
        merge(found, Journal(tmp_path / "house"), now=0)

        assert os.fstat(running.fileno()).st_ino == one.entry.inode
        assert running.read() == BIG


def test_links_out_of_a_store_are_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.gguf").write_bytes(BIG)
    (folder / "a.gguf").write_bytes(BIG)
    (folder / "link.gguf").symlink_to(outside / "a.gguf")
    (folder / "below").symlink_to(outside)

    assert plan(take_stock(places_of(folder))).twins == ()


def test_files_that_are_no_weights_are_the_users_own(folder: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(BIG)

    assert plan(take_stock(places_of(folder))).twins == ()


def test_other_rights_and_unknown_names_keep_a_copy(folder: Path, tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf", "c.gguf"):
        (folder / name).write_bytes(BIG)
    (folder / "b.gguf").chmod(0o600)
    os.utime(folder / "a.gguf", ns=(0, 0))
    (tmp_path / "known").mkdir()
    os.link(folder / "c.gguf", tmp_path / "known" / "outside")
    os.utime(folder / "c.gguf", ns=(0, 0))

    (twins,) = plan(take_stock(places_of(folder))).twins

    assert twins.keep == (folder / "c.gguf",)
    assert [one.path for one in twins.replacements] == [folder / "a.gguf"]
    (kept,) = twins.kept
    assert kept.path == folder / "b.gguf"
    assert "rights differ" in kept.reason


def test_a_digest_is_found_once_and_kept_while_the_file_stays(folder: Path, tmp_path: Path) -> None:
    (folder / "a.gguf").write_bytes(BIG)
    (folder / "b.gguf").write_bytes(BIG)
    database = Database.open(tmp_path / "digests.db", (SCHEMA,))
    read: list[Path] = []

    def look() -> list[str]:
        stock = take_stock(places_of(folder))
        found = twins_in(stock, Digests(database), lambda e: read.append(e.path))
        return [content.sha256 for content in found]

    assert look() == look() == [sha256(BIG)] * 2
    assert len(read) == 2
    os.utime(folder / "a.gguf", ns=(5, 5))
    assert look() == [sha256(BIG)] * 2
    assert read[2:] == [folder / "a.gguf"]
    database.close()


def test_blocks_that_are_shared_are_told_from_equal_ones(folder: Path) -> None:
    for name in ("a", "b"):
        with (folder / name).open("wb") as file:
            file.write(BIG)
            os.fsync(file.fileno())
    os.link(folder / "a", folder / "same")
    with (folder / "a").open() as a, (folder / "b").open() as b, (folder / "same").open() as same:
        if not share_blocks(a.fileno(), same.fileno()):
            pytest.skip("this file system does not say where its blocks are")
        assert not share_blocks(a.fileno(), b.fileno())


def test_a_reflink_is_a_file_of_its_own(folder: Path, tmp_path: Path) -> None:
    (folder / "a.gguf").write_bytes(BIG)
    (folder / "b.gguf").write_bytes(BIG)
    (folder / "b.gguf").chmod(0o600)
    found = plan(take_stock(places_of(folder)), Method.REFLINK)
    (one,) = found.replacements
    before = one.path.stat()

    done = merge(found, Journal(tmp_path / "house"), now=0)

    if not done.replaced:
        assert one.path.stat().st_ino == before.st_ino
        assert sorted(path.name for path in folder.iterdir()) == ["a.gguf", "b.gguf"]
        pytest.skip(f"no reflinks here: {done.kept[0].reason}")
    assert one.path.stat().st_ino != one.keep.stat().st_ino
    assert (one.path.stat().st_mode, one.path.stat().st_mtime_ns) == (
        before.st_mode,
        before.st_mtime_ns,
    )


@pytest.mark.parametrize("what", ["dedupe", "trash", "undo"])
def test_killed_anywhere_nothing_is_lost(what: str, tmp_path: Path) -> None:
    """A child is killed before each of its steps on the disk in turn; then all is undone."""
    words = [sys.executable, "-m", "tests.support.killed", what, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) >= 10


files = st.lists(
    st.tuples(
        st.integers(0, 5),  # inode
        st.sampled_from(("x", "y")),  # content, by inode
        st.integers(0, 1),  # device
        st.integers(0, 2),  # names outside the stores
        st.sampled_from((0o644, 0o600)),
    ),
    max_size=12,
)


def contents_from(rows: Sequence[tuple[int, str, int, int, int]]) -> list[Content]:
    by_inode: dict[tuple[int, int], list[tuple[str, int, int]]] = {}
    for inode, content, device, outside, mode in rows:
        by_inode.setdefault((device, inode), []).append((content, outside, mode))
    made: list[Content] = []
    for (device, inode), names in by_inode.items():
        content, outside, mode = names[0]
        entries = tuple(
            Entry(
                path=Path(f"/s/{device}/{inode}/{at}"),
                root=Path("/s"),
                source=Source.FOLDER,
                size_bytes=4096,
                allocated_bytes=4096,
                mtime_ns=inode,
                changed_ns=inode,
                device=device,
                inode=inode,
                links=len(names) + outside,
                mode=mode,
                owner=0,
                group=0,
            )
            for at in range(len(names))
        )
        made.append(Content(entries, content))
    return made


@given(files, st.sampled_from((Method.HARD_LINK, Method.REFLINK)))
def test_no_plan_takes_the_last_name_of_a_content(
    rows: Sequence[tuple[int, str, int, int, int]], method: Method
) -> None:
    contents = contents_from(rows)
    found = plan_merge(contents, {0: method})
    holds = {entry.path: content.sha256 for content in contents for entry in content.names}
    inode = {entry.path: entry.identity for content in contents for entry in content.names}
    changed = {one.path for one in found.replacements}

    for one in found.replacements:
        assert holds[one.path] == holds[one.keep]
        assert one.keep not in changed
        assert one.entry.device == one.kept.device == 0
        inode[one.path] = one.kept.identity

    freed = {entry.identity for content in contents for entry in content.names} - {*inode.values()}
    saved = sum(
        content.names[0].allocated_bytes
        for content in contents
        if content.names[0].identity in freed
    )
    assert saved == found.saved_bytes
    # Nothing that could be saved by hard links is left: one copy for each content, disk and rights.
    assert {holds[path] for path in inode} == {content.sha256 for content in contents}
