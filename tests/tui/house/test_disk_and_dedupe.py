"""What is on the disk is counted, and stored once, from the shell."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modeldeck.tui.cli import main
from tests.support.stores import OllamaStore, weights

Captured = pytest.CaptureFixture[str]


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
