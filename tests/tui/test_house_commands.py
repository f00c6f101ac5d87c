"""The disk is kept in order from the shell."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from modeldeck.engines.house.manifests import Manifest, blob_path, manifests_of
from modeldeck.engines.house.pruning import plan_pruning
from modeldeck.engines.house.stock import take_stock
from modeldeck.engines.pulls.home import PullsHome
from modeldeck.engines.pulls.queue import Item, Queue
from modeldeck.engines.pulls.types import Destination, Layout, PullState
from modeldeck.engines.pulls.wire import queue_text
from modeldeck.tui.cli import main
from tests.support.file_server import serving
from tests.support.gguf_files import llama_metadata, llama_tensors, write_gguf, write_llama
from tests.support.hub import repository
from tests.support.ollama_server import ollama_serving
from tests.support.stores import NEW, HubCache, OllamaStore, sha256, weights

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def models(fresh_home: Path) -> Path:
    """A folder of models that the settings name, and no Ollama that answers."""
    folder = fresh_home / "models"
    folder.mkdir()
    config = fresh_home / ".config" / "modeldeck" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('model_dirs = ["~/models"]\n', encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def no_ollama(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")


def test_rm_moves_to_the_trash_and_undo_brings_it_back(models: Path, capsys: Captured) -> None:
    file = write_llama(models / "one.gguf")
    content = file.read_bytes()

    assert main(["rm", "one", "--yes"]) == 0
    out = capsys.readouterr().out
    assert not file.exists()
    assert str(file) in out
    assert "In the trash for 14 days" in out

    assert main(["rm", "--undo"]) == 0
    assert file.read_bytes() == content
    assert "Back again: one (1 file)." in capsys.readouterr().out
    assert main(["rm", "--undo"]) == 1
    assert "The trash does not hold anything." in capsys.readouterr().err


def test_rm_asks_first_and_without_a_terminal_does_nothing(models: Path, capsys: Captured) -> None:
    file = write_llama(models / "one.gguf")

    assert main(["rm", "one"]) == 1

    assert file.exists()
    assert "Nothing was deleted." in capsys.readouterr().err


def test_rm_in_json_without_yes_is_a_dry_run(models: Path, capsys: Captured) -> None:
    file = write_llama(models / "one.gguf")
    os.link(file, models / "two.gguf")

    assert main(["rm", "one", "--json"]) == 0

    plan = json.loads(capsys.readouterr().out)
    assert plan["files"] == [str(file)]
    assert (plan["freed_bytes"], plan["done"]) == (0, False)
    assert any("two.gguf" in remark for remark in plan["remarks"])
    assert file.exists()


def test_rm_for_good_leaves_nothing_in_the_trash(models: Path, capsys: Captured) -> None:
    write_llama(models / "one.gguf")

    assert main(["rm", "one", "--for-good", "--yes", "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["trash"] is None
    assert list(models.iterdir()) == []
    assert main(["rm", "--undo"]) == 1


def test_rm_of_one_name_keeps_the_other(
    fresh_home: Path, models: Path, tmp_path: Path, capsys: Captured
) -> None:
    store = OllamaStore(fresh_home / ".ollama" / "models")
    data = weights(tmp_path)
    store.model("llama", "8b", model=data, template=b"t")
    os.link(store.path(data), models / "mine.gguf")

    assert main(["rm", "llama:8b", "--yes"]) == 0

    assert "another name" in capsys.readouterr().err
    assert (models / "mine.gguf").read_bytes() == data
    assert list((store.folder / "blobs").iterdir()) == []


def test_no_model_or_an_unknown_one_is_said(models: Path, capsys: Captured) -> None:
    write_llama(models / "one.gguf")

    assert main(["rm"]) == 2
    assert main(["rm", "nothing", "--yes"]) == 1
    assert main(["rm", "modeldeck-demo", "--yes"]) == 1

    err = capsys.readouterr().err
    assert "no model is named" in err
    assert "no model called “nothing”" in err
    assert "a part of modeldeck" in err


def test_the_days_of_the_trash_are_a_setting(
    fresh_home: Path, models: Path, capsys: Captured
) -> None:
    config = fresh_home / ".config" / "modeldeck" / "config.toml"
    config.write_text('model_dirs = ["~/models"]\ntrash_days = 0\n', encoding="utf-8")
    write_llama(models / "one.gguf")
    assert main(["rm", "one", "--yes"]) == 0

    assert main(["rm", "--undo"]) == 1
    assert "for good is gone" in capsys.readouterr().err


def test_a_model_of_the_hub_leaves_a_sound_cache(
    fresh_home: Path, tmp_path: Path, capsys: Captured
) -> None:
    from huggingface_hub import scan_cache_dir

    hub = HubCache(fresh_home / ".cache" / "huggingface" / "hub")
    hub.snapshot("org/one", {"one.gguf": weights(tmp_path, "one")})
    hub.snapshot("org/two", {"two.gguf": weights(tmp_path, "two")})

    assert main(["rm", "one", "--yes"]) == 0

    info = scan_cache_dir(hub.folder)
    assert not info.warnings
    assert [repo.repo_id for repo in info.repos] == ["org/two"]
    assert main(["rm", "--undo"]) == 0
    assert len(scan_cache_dir(hub.folder).repos) == 2
    assert "Back again" in capsys.readouterr().out


BIG = bytes(range(256)) * 8192


def test_dedupe_says_what_it_would_do_then_does_it_and_takes_it_back(
    fresh_home: Path, models: Path, tmp_path: Path, capsys: Captured
) -> None:
    data = weights(tmp_path) + BIG
    store = OllamaStore(fresh_home / ".ollama" / "models")
    store.model("llama", "8b", model=data)
    (models / "mine.gguf").write_bytes(data)

    assert main(["dedupe", "--hardlink"]) == 0
    out, err = capsys.readouterr()
    assert f"keep      {store.path(data)}" in out
    assert f"hardlink  {models / 'mine.gguf'}" in out
    assert "modeldeck dedupe --apply" in err
    assert not store.path(data).samefile(models / "mine.gguf")

    assert main(["dedupe", "--hardlink", "--apply", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["done"], record["problems"]) == (True, [])
    assert record["saved_bytes"] == store.path(data).stat().st_blocks * 512
    assert store.path(data).samefile(models / "mine.gguf")

    assert main(["dedupe"]) == 0
    assert "Nothing is stored twice." in capsys.readouterr().out
    assert main(["dedupe", "--undo"]) == 0
    assert not store.path(data).samefile(models / "mine.gguf")
    assert (models / "mine.gguf").read_bytes() == data
    assert main(["dedupe", "--undo"]) == 1


def test_dedupe_by_whatever_the_file_system_has_finds_nothing_the_second_time(
    models: Path, tmp_path: Path, capsys: Captured
) -> None:
    for name in ("a.gguf", "b.gguf", "c.gguf"):
        (models / name).write_bytes(weights(tmp_path) + BIG)

    assert main(["dedupe", "--apply", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(["dedupe", "--apply", "--json"]) == 0
    second = json.loads(capsys.readouterr().out)

    assert len(first["duplicates"][0]["replace"]) == 2
    assert first["saved_bytes"] == 2 * (models / "a.gguf").stat().st_blocks * 512
    assert (second["saved_bytes"], second["run"]) == (0, None)
    assert all((models / name).read_bytes()[-len(BIG) :] == BIG for name in ("a.gguf", "c.gguf"))


def test_ls_disk_adds_up_what_is_really_there(
    fresh_home: Path, models: Path, tmp_path: Path, capsys: Captured
) -> None:
    file = models / "one.gguf"
    file.write_bytes(weights(tmp_path) + BIG)
    os.link(file, models / "two.gguf")

    assert main(["ls", "--disk", "--json"]) == 0
    use = json.loads(capsys.readouterr().out)
    blocks = file.stat().st_blocks * 512
    assert use["allocated_bytes"] == blocks
    assert use["apparent_bytes"] == 2 * file.stat().st_size
    assert [(one["name"], one["allocated_bytes"]) for one in use["models"]] == [("one", blocks)]

    assert main(["ls", "--disk"]) == 0
    out = capsys.readouterr().out
    assert "one = two" in out
    assert str(models) in out


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


@pytest.fixture
def ollama(fresh_home: Path) -> OllamaStore:
    return OllamaStore(fresh_home / ".ollama" / "models")


def test_import_gives_a_gguf_to_ollama_without_a_copy(
    models: Path, ollama: OllamaStore, tmp_path: Path, capsys: Captured
) -> None:
    data = gguf_with_template(tmp_path, "{% for m in messages %}<|im_start|>{{ m }}<|im_end|>")
    file = models / "Qwen-Q4_0.gguf"
    file.write_bytes(data)

    assert main(["import", str(file), "mine:8b", "--json"]) == 0

    record = json.loads(capsys.readouterr().out)
    assert (record["name"], record["by_ollama"]) == ("mine:8b", False)
    (one,) = record["files"]
    assert one["digest"] == f"sha256:{sha256(data)}"
    assert one["how"] == "reflink" or ollama.path(data).samefile(file)
    assert ollama.path(data).read_bytes() == data

    assert main(["ls", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    rows += [also for row in rows for also in row["also"]]
    names = {(row["name"], row["source"]) for row in rows}
    assert ("mine:8b", "ollama") in names
    (manifest,) = manifests_of(ollama.folder)
    assert manifest.sound
    assert all(blob.exists() for blob in manifest.blobs if blob != manifest_blob(manifest))
    layers = json.loads(manifest.path.read_bytes())["layers"]
    kinds = [layer["mediaType"].rpartition(".")[2] for layer in layers]
    assert kinds == ["model", "template", "params"]
    template = blob_path(ollama.folder, layers[1]["digest"].rpartition(":")[2]).read_text()
    assert "<|im_start|>{{ .Role }}" in template
    assert main(["prune"]) == 0
    assert "Nothing to remove." in capsys.readouterr().out


def manifest_blob(manifest: Manifest) -> Path:
    """Where newer versions keep the manifest itself."""
    return blob_path(manifest.store, manifest.own_digest)


def gguf_with_template(folder: Path, jinja: str) -> bytes:
    metadata = {**llama_metadata(), "tokenizer.chat_template": "{# " + "x" * 3000 + " #}" + jinja}
    return write_gguf(folder / "made.gguf", metadata, llama_tensors()).read_bytes()


def test_import_lets_a_running_ollama_make_the_model(
    models: Path,
    ollama: OllamaStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    data = weights(tmp_path)
    (models / "One.gguf").write_bytes(data)

    with ollama_serving(ollama) as (address, asked):
        monkeypatch.setenv("OLLAMA_HOST", address)
        assert main(["import", "One"]) == 0
        assert asked == ["create one:latest"]
        assert ollama.path(data).read_bytes() == data
        assert "Ollama has one:latest now" in capsys.readouterr().out
        assert main(["import", "One"]) == 1
        assert "has a model one:latest already" in capsys.readouterr().err

        assert main(["rm", "one:latest", "--for-good", "--yes"]) == 0
        assert asked[1:] == ["delete one:latest"]
    assert list((ollama.folder / "blobs").iterdir()) == []
    assert (models / "One.gguf").read_bytes() == data


@pytest.mark.parametrize(
    ("name", "said"),
    [("../../x", "no name for Ollama"), ("a b", "no name for Ollama"), (".x", "no name")],
)
def test_import_takes_only_names_that_are_sound(
    name: str, said: str, models: Path, ollama: OllamaStore, capsys: Captured
) -> None:
    write_llama(models / "one.gguf")

    assert main(["import", "one", name]) == 1
    assert said in capsys.readouterr().err
    assert list(ollama.folder.rglob("*")) == [ollama.folder / "blobs"]


def test_import_needs_a_store_and_says_so(models: Path, capsys: Captured) -> None:
    write_llama(models / "one.gguf")

    assert main(["import", "one"]) == 1
    assert "There is no store of Ollama here." in capsys.readouterr().err


def test_models_of_the_newer_store_are_listed_kept_and_deleted(
    models: Path, ollama: OllamaStore, tmp_path: Path, capsys: Captured
) -> None:
    data = weights(tmp_path)
    legacy = ollama.model("new", "8b", model=data, template=b"t")
    manifest = legacy.read_bytes()
    legacy.unlink()
    ollama.blob(manifest)
    link = ollama.folder / "manifests-v2" / "registry.ollama.ai" / "library" / "new" / "8b"
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(ollama.path(manifest), link.parent))

    assert main(["ls"]) == 0
    assert "new:8b" in capsys.readouterr().out
    stock = take_stock([ollama.place])
    assert plan_pruning(stock, time.time() + 1e6).orphans == ()
    assert main(["rm", "new:8b", "--yes"]) == 0
    assert list((ollama.folder / "blobs").iterdir()) == []
    assert main(["rm", "--undo"]) == 0
    assert link.read_bytes() == manifest
    assert ollama.path(data).read_bytes() == data


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
