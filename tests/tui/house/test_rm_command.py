"""Models are deleted from the shell, and brought back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modeldeck.tui.cli import main
from tests.support.gguf_files import write_llama
from tests.support.ollama_server import ollama_serving
from tests.support.stores import HubCache, OllamaStore, weights

Captured = pytest.CaptureFixture[str]


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


def test_rm_says_what_ollama_has_in_memory(
    models: Path,
    ollama: OllamaStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    ollama.model("m", "8b", model=weights(tmp_path))

    with ollama_serving(ollama, loaded=["m:8b"]) as (address, asked):
        monkeypatch.setenv("OLLAMA_HOST", address)
        assert main(["rm", "m:8b", "--yes"]) == 0

    assert "Ollama has m:8b in memory now." in capsys.readouterr().err
    assert asked == []


@pytest.mark.parametrize(("answer", "stays"), [("n", True), ("", True), ("y", False)])
def test_on_a_terminal_rm_asks_and_does_what_is_said(
    answer: str, stays: bool, models: Path
) -> None:
    file = write_llama(models / "one.gguf")
    ours, theirs = os.openpty()
    words = [sys.executable, "-m", "modeldeck.tui.cli", "rm", "one"]
    with subprocess.Popen(words, stdin=theirs, stdout=subprocess.PIPE, text=True) as running:
        os.write(ours, f"{answer}\n".encode())
        out, _ = running.communicate(timeout=60)
    os.close(theirs)
    os.close(ours)

    assert "Delete one (" in out
    assert file.exists() == stays
    assert running.returncode == int(stays)
