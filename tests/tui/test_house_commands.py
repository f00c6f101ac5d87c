"""The disk is kept in order from the shell."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from modeldeck.tui.cli import main
from tests.support.gguf_files import write_llama
from tests.support.stores import HubCache, OllamaStore, weights

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
