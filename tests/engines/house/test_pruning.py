"""What nothing needs is found, and what something may need is left alone."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest
from filelock import FileLock
from huggingface_hub import scan_cache_dir

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.house.carrying_out import delete_for_good
from modeldeck.engines.house.in_use import holders_of
from modeldeck.engines.house.locked import locked_downloads
from modeldeck.engines.house.pruning import Kind, Live, Pruning, plan_pruning
from modeldeck.engines.house.stock import take_stock
from modeldeck.engines.types import Source
from tests.support.stores import NEW, OLD, HubCache, OllamaStore, names_below, weights

HOUR, DAY = 3_600, 86_400


@pytest.fixture
def hub(tmp_path: Path) -> HubCache:
    return HubCache(tmp_path / "hf" / "hub")


@pytest.fixture
def ollama(tmp_path: Path) -> OllamaStore:
    return OllamaStore(tmp_path / "ollama")


def plan(*places: Place, later: float = 2 * DAY, live: Live | None = None) -> Pruning:
    stock = take_stock(places)
    holders = holders_of(entry.identity for entry in stock.entries)
    live = live or Live(files=locked_downloads(stock))
    return plan_pruning(stock, time.time() + later, holders, live)


def found(pruning: Pruning) -> dict[Path, Kind]:
    return {orphan.path: orphan.kind for orphan in pruning.orphans}


def test_blobs_that_no_manifest_names_go_and_the_model_stays(
    ollama: OllamaStore, tmp_path: Path
) -> None:
    ollama.model("m", "8b", model=weights(tmp_path), template=b"t")
    before = names_below(ollama.folder)
    ollama.blob(b"left over")

    pruning = plan(ollama.place)
    delete_for_good(pruning.removal)

    assert found(pruning) == {ollama.path(b"left over"): Kind.OLLAMA_BLOB}
    assert names_below(ollama.folder) == before


def test_a_young_blob_may_belong_to_a_manifest_that_is_still_to_come(ollama: OllamaStore) -> None:
    ollama.blob(b"being pulled")

    assert found(plan(ollama.place, later=HOUR / 2)) == {}


def test_a_damaged_manifest_keeps_all_blobs(ollama: OllamaStore) -> None:
    ollama.model("m", "8b", model=b"x").write_text("?")

    pruning = plan(ollama.place)

    assert found(pruning) == {}
    assert "Ollama's blobs are kept: the manifest of m:8b is damaged." in pruning.remarks


def test_a_download_of_ollama_goes_when_all_its_parts_were_given_up(ollama: OllamaStore) -> None:
    blobs = ollama.folder / "blobs"
    old = [blobs / f"sha256-{'1' * 64}-partial{end}" for end in ("", "-0", "-1")]
    for path in old:
        path.write_bytes(b"part")
    young = [blobs / f"sha256-{'2' * 64}-partial{end}" for end in ("", "-0")]
    for path in young:
        path.write_bytes(b"part")
    later = time.time() + 2 * DAY
    os.utime(young[1], (later, later))

    assert found(plan(ollama.place)) == dict.fromkeys(old, Kind.PARTIAL)


def test_orphans_of_the_hub_go_and_the_cache_is_sound(hub: HubCache, tmp_path: Path) -> None:
    folder = hub.snapshot("org/m", {"m.gguf": weights(tmp_path)}, NEW)
    repository = folder.parent.parent
    (repository / "blobs" / ("0" * 64)).write_bytes(b"nobody links here")
    (repository / "blobs" / f"{'1' * 64}.abcd1234.incomplete").write_bytes(b"half")
    (repository / "refs" / "gone").write_text(OLD)
    (folder / "broken.bin").symlink_to("../../blobs/nothing")
    (hub.folder / "models--org--empty" / "snapshots").mkdir(parents=True)

    pruning = plan(hub.place)
    delete_for_good(pruning.removal)

    assert sorted(found(pruning).values()) == [
        Kind.BROKEN_LINK,
        Kind.HUB_ORPHAN,
        Kind.HUB_ORPHAN,
        Kind.PARTIAL,
    ]
    info = scan_cache_dir(hub.folder)
    assert not info.warnings
    (repo,) = info.repos
    assert repo.refs.keys() == {"main"}
    assert info.size_on_disk == len(weights(tmp_path))
    assert plan(hub.place).orphans == ()


def test_a_repository_that_is_written_into_is_left_alone(hub: HubCache, tmp_path: Path) -> None:
    folder = hub.snapshot("org/m", {"m.gguf": weights(tmp_path)})
    blobs = folder.parent.parent / "blobs"
    (blobs / ("0" * 64)).write_bytes(b"placed, and to be linked soon")
    part = blobs.parent / ".modeldeck" / "abc.part"
    part.parent.mkdir()
    part.write_bytes(b"half")

    assert found(plan(hub.place, later=12 * HOUR)) == {}
    with part.open("r+b") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        assert part not in found(plan(hub.place))
    assert found(plan(hub.place, live=Live(repositories=frozenset({"org/m"})))) == {}
    assert found(plan(hub.place))[part] is Kind.PARTIAL


def test_the_lock_of_the_hubs_own_client_is_respected(hub: HubCache) -> None:
    blobs = hub.folder / "models--org--m" / "blobs"
    blobs.mkdir(parents=True)
    etag = "1" * 64
    half = blobs / f"{etag}.abcd1234.incomplete"
    half.write_bytes(b"half")
    locks = hub.folder / ".locks" / "models--org--m"
    locks.mkdir(parents=True)

    with FileLock(locks / f"{etag}.lock"):
        assert found(plan(hub.place)) == {}
    assert half in found(plan(hub.place))


def test_what_a_process_has_open_stays(ollama: OllamaStore) -> None:
    ollama.blob(b"open")

    with ollama.path(b"open").open("rb"):
        pruning = plan(ollama.place)

    assert found(pruning) == {}
    assert any(f"({os.getpid()})" in remark for remark in pruning.remarks)


def test_a_link_to_a_disk_that_may_come_back_stays(tmp_path: Path) -> None:
    studio = tmp_path / "lm-studio"
    (studio / "empty" / "folders").mkdir(parents=True)
    (studio / "gone.gguf").symlink_to(studio / "nothing.gguf")
    (studio / "usb.gguf").symlink_to("/mnt/usb/models/m.gguf")

    pruning = plan(Place(Source.LM_STUDIO, studio))
    delete_for_good(pruning.removal)

    assert [path.name for path in studio.iterdir()] == ["usb.gguf"]


def test_a_users_own_folders_and_links_stay(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "gone.gguf").symlink_to(tmp_path / "nothing.gguf")

    pruning = plan(Place(Source.FOLDER, tmp_path))

    assert (pruning.orphans, pruning.folders) == ((), ())


def test_what_only_looked_like_a_leftover_stays(tmp_path: Path) -> None:
    (tmp_path / "mine.part").write_bytes(b"a file of the user's")
    (tmp_path / ".modeldeck-notes").write_bytes(b"another one")
    left = tmp_path / f".modeldeck-{'0f' * 8}"
    left.write_bytes(b"left by a run that was killed")

    assert found(plan(Place(Source.FOLDER, tmp_path))) == {left: Kind.LEFTOVER}
