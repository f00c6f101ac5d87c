"""Orphans go, and newer versions are found, from the shell."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from modeldeck.engines.pulls.home import PullsHome
from modeldeck.engines.pulls.queue import Item, Queue
from modeldeck.engines.pulls.types import Destination, Layout, PullState
from modeldeck.engines.pulls.wire import queue_text
from modeldeck.tui.cli import main
from tests.support.file_server import serving
from tests.support.hub import repository
from tests.support.stores import NEW, HubCache, OllamaStore, weights

Captured = pytest.CaptureFixture[str]


def test_prune_says_first_and_leaves_what_is_young(
    fresh_home: Path, models: Path, capsys: Captured
) -> None:
    store = OllamaStore(fresh_home / ".ollama" / "models")
    store.blob(b"young")

    assert main(["prune"]) == 0
    assert "Nothing to remove." in capsys.readouterr().out

    assert main(["prune", "--apply", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["orphans"], record["freed_bytes"], record["done"]) == ([], 0, True)
    assert store.path(b"young").exists()


def test_prune_removes_what_an_old_download_left(
    fresh_home: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    store = OllamaStore(fresh_home / ".ollama" / "models")
    store.blob(b"orphan")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_400 * 3)

    assert main(["prune"]) == 0
    out, err = capsys.readouterr()
    assert str(store.path(b"orphan")) in out
    assert "modeldeck prune --apply" in err
    assert store.path(b"orphan").exists()

    assert main(["prune", "--apply"]) == 0
    assert "Removed: 1 file" in capsys.readouterr().out
    assert not store.path(b"orphan").exists()


def test_updates_says_what_to_pull_and_what_is_offline(
    fresh_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    hub = HubCache(fresh_home / ".cache" / "huggingface" / "hub")
    assert main(["updates"]) == 0
    assert "No model here came from" in capsys.readouterr().out
    hub.snapshot("org/m", {"m.gguf": weights(tmp_path, "old")})
    served = repository("org/m", {"m.gguf": weights(tmp_path, "new")}, commit=NEW)
    with serving(served) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        assert main(["updates"]) == 0
        out, err = capsys.readouterr()
        assert "org/m" in out
        assert "modeldeck pull hf:org/m" in err
        assert main(["updates", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["state"], record["changed"], record["there"]) == ("newer", ["m.gguf"], NEW)

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["updates"]) == 1
    assert "No server can be reached" in capsys.readouterr().err


def test_prune_leaves_what_the_queue_of_downloads_still_wants(
    fresh_home: Path,
    models: Path,
    ollama: OllamaStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    cache = HubCache(fresh_home / ".cache" / "huggingface" / "hub")
    parts = [
        cache.folder / "models--org--paused" / ".modeldeck" / "1.part",
        cache.folder / "models--org--gone" / ".modeldeck" / "2.part",
    ]
    for part in parts:
        part.parent.mkdir(parents=True)
        part.write_bytes(b"half")
    ollama.blob(b"fetched, and its manifest still to come")
    hub = Destination(Layout.HUB_CACHE, cache.folder)
    queue = Queue(
        (
            Item("1", "hf:org/paused:Q4_K_M", hub, state=PullState.PAUSED),
            Item("2", "hf:org/gone:Q4_K_M", hub, state=PullState.CANCELLED),
            Item("3", "ollama:m:8b", Destination(Layout.OLLAMA_STORE, ollama.folder)),
        )
    )
    PullsHome().queue.write_text(queue_text(queue))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_400 * 3)

    assert main(["prune", "--json"]) == 0

    record = json.loads(capsys.readouterr().out)
    assert [one["path"] for one in record["orphans"]] == [str(parts[1])]
    assert "org/paused is being downloaded and is left alone." in record["remarks"]
