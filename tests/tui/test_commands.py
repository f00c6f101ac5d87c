"""The commands that print: what a person reads, and what a script gets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modeldeck.engines.text import UNSAFE
from modeldeck.engines.units import file_size
from modeldeck.tui.cli import main
from tests.support.gguf_files import write_llama

Captured = pytest.CaptureFixture[str]
HOSTILE = "ev\x1b]0;pwned\x07il [red]\u202egnp\n名前\x9b31m.gguf"


@pytest.fixture
def models(fresh_home: Path) -> Path:
    """A folder of models that the settings name."""
    folder = fresh_home / "models"
    folder.mkdir()
    config = fresh_home / ".config" / "modeldeck" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('model_dirs = ["~/models"]\n', encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 KB"),
        (1, "1 KB"),
        (999_400, "1000 KB"),
        (3_553_728, "3.6 MB"),
        (138_000_000, "138 MB"),
        (999_600_000, "1.0 GB"),
        (8_400_000_000, "8.4 GB"),
        (246_000_000_000, "246 GB"),
    ],
)
def test_sizes_are_decimal_and_short(size_bytes: int, text: str) -> None:
    assert file_size(size_bytes) == text


def test_an_empty_machine_names_the_folders_and_the_demo(capsys: Captured) -> None:
    assert main(["ls"]) == 0

    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["NAME", "modeldeck-demo"]
    assert "~/.cache/huggingface/hub" in err
    assert "~/.cache/llama.cpp" in err
    assert "modeldeck demo" in err


def test_every_file_is_listed_with_its_problem(models: Path, capsys: Captured) -> None:
    write_llama(models / "sound.gguf")
    write_llama(models / HOSTILE)
    (models / "torn.gguf").write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 100)
    (models / "empty.gguf").touch()
    os.mkfifo(models / "pipe.gguf")

    assert main(["ls"]) == 0
    out, _ = capsys.readouterr()
    assert main(["ls", "--json"]) == 0
    listed = capsys.readouterr().out

    assert not UNSAFE.search(out + listed)
    records = {record["name"]: record for record in json.loads(listed)}
    problems = {name for name, record in records.items() if record["problem"]}
    assert problems == {"torn", "empty", "pipe"}
    assert len(out.splitlines()) == 1 + len(records) == 7
    for record in records.values():
        (line,) = (line for line in out.splitlines() if line.startswith(f"{record['name']} "))
        assert record["problem"] is None or record["problem"] in line
    hostile = next(record for record in records.values() if "[red]" in record["name"])
    assert hostile["path"] == str(models / HOSTILE)


def test_models_of_the_same_name_are_told_apart(models: Path, capsys: Captured) -> None:
    for folder in ("one", "two"):
        write_llama(models / folder / "same.gguf")

    assert main(["ls"]) == 0

    out = capsys.readouterr().out
    assert str(models / "one" / "same.gguf") in out
    assert str(models / "two" / "same.gguf") in out


def test_a_name_that_is_no_utf_8_is_listed(models: Path, capsys: Captured) -> None:
    path = os.fsencode(models) + b"/caf\xe9.gguf"
    Path(os.fsdecode(path)).touch()

    assert main(["ls"]) == 0
    capsys.readouterr()
    assert main(["ls", "--json"]) == 0

    paths = [os.fsencode(record["path"]) for record in json.loads(capsys.readouterr().out)]
    assert path in paths


def test_the_card_in_mind_is_named(capsys: Captured) -> None:
    assert main(["ls", "--gpu", "RTX 4090"]) == 0
    assert "judged for: RTX 4090" in capsys.readouterr().err
    assert main(["ls", "--vram", "2GiB"]) == 0
    assert "judged for: " in capsys.readouterr().err


def test_a_wrong_card_in_the_settings_is_said(fresh_home: Path, capsys: Captured) -> None:
    config = fresh_home / "config.toml"
    config.write_text('gpu = "nonsense"\n', encoding="utf-8")

    assert main(["ls", "--config", str(config)]) == 0

    assert "modeldeck: The setting gpu must be " in capsys.readouterr().err


def test_the_machine_is_shown(capsys: Captured) -> None:
    assert main(["gpu"]) == 0
    assert "cores" in capsys.readouterr().out
    assert main(["gpu", "--json"]) == 0
    snapshot = json.loads(capsys.readouterr().out)
    assert set(snapshot) == {"gpus", "host", "gpu_note", "visible"}


def test_keys_follow_the_settings(fresh_home: Path, capsys: Captured) -> None:
    config = fresh_home / "config.toml"
    config.write_text('[keys]\n"models.unload" = "z"\n', encoding="utf-8")

    assert main(["keys", "--config", str(config)]) == 0

    (line,) = (row for row in capsys.readouterr().out.splitlines() if "models.unload" in row)
    assert line.split()[:2] == ["models", "z"]
