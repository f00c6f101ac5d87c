"""A folder of horrors: the list names each one's problem, or counts what it passed over."""

from __future__ import annotations

import json
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.gguf_files import ARRAY, U32, header_bytes, llama_metadata, write_llama
from tests.support.machine import Machine
from tests.support.peak_memory import run_and_weigh
from tests.support.safetensors_files import packed
from tests.support.terminal import modeldeck_command

MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Listed:
    """What one ``modeldeck ls --json`` gave, and the most memory it held."""

    models: list[dict[str, Any]]
    errors: str
    code: int
    peak_bytes: int

    def problem(self, name: str) -> str:
        """The problem of the model called ``name``."""
        (found,) = [model for model in self.models if model["name"] == name]
        return str(found["problem"])


def ls(machine: Machine) -> Listed:
    """Run ``modeldeck ls --json``."""
    ran = run_and_weigh(modeldeck_command("ls", "--json"), machine.environ())
    return Listed(json.loads(ran.output or "[]"), ran.errors, ran.code, ran.peak_bytes)


def horrors(folder: Path) -> Path:
    """One sound model among everything that a disk may hold under a model's name."""
    sound = write_llama(folder / "sound.gguf").read_bytes()
    nested = struct.pack("<IIQIQ", ARRAY, ARRAY, 1 << 20, U32, 1 << 20)
    for name, data in {
        "empty": b"",
        "text": b"hello",
        "zip": b"PK\x03\x04" + bytes(100),
        "version99": header_bytes(llama_metadata(), version=99),
        "counts": b"GGUF" + struct.pack("<IQQ", 3, 1 << 62, 1 << 62) + bytes(4096),
        "nested": header_bytes({"general.architecture": "llama", "x": nested}),
        "cut": sound[:-100],
        "evil\x1b[31m\u202e[red]": b"\x1b]52;c;aGVsbG8=\x07",
    }.items():
        (folder / f"{name}.gguf").write_bytes(data)
    os.mkfifo(folder / "fifo.gguf")
    (folder / "device.gguf").symlink_to("/dev/zero")
    (folder / "loop.gguf").symlink_to("loop.gguf")
    (folder / "a").mkdir()
    (folder / "a" / "back").symlink_to(folder)
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(folder / "s.gguf"))
    with (folder / "sparse.gguf").open("wb") as sparse:
        sparse.truncate(1 << 40)
    return folder


def test_every_horror_is_listed_with_its_problem(machine: Machine) -> None:
    (machine.models / "second.gguf").unlink()
    horrors(machine.models)
    listed = ls(machine)

    assert listed.code == 0, listed.errors
    assert listed.peak_bytes < MOST_BYTES
    assert listed.problem("sound") == "None"
    for name, words in {
        "empty": "empty",
        "text": "no GGUF",
        "zip": "no GGUF",
        "version99": "version 99",
        "counts": "not sound",
        "nested": "array of arrays",
        "cut": "not complete",
        "fifo": "no regular file",
        "device": "no regular file",
        "loop": "leads back to itself",
        "s": "no regular file",
        "sparse": "no GGUF",
    }.items():
        assert words in listed.problem(name), name
    assert "\x1b" not in json.dumps(listed.models, ensure_ascii=False)


def test_a_model_cut_at_any_byte_of_its_header_is_listed_as_cut(machine: Machine) -> None:
    sound = header_bytes({"general.architecture": "llama", "llama.block_count": 1}) + bytes(64)
    for length in range(1, len(sound) - 64):
        (machine.models / f"cut-{length:04}.gguf").write_bytes(sound[:length])
    listed = ls(machine)

    assert listed.code == 0, listed.errors
    cut = [model for model in listed.models if model["name"].startswith("cut-")]
    assert len(cut) == len(sound) - 65
    assert all(model["problem"] and not model["architecture"] for model in cut)


def test_an_unreadable_folder_is_counted(machine: Machine) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    locked = machine.models / "locked"
    locked.mkdir(mode=0)
    try:
        listed = ls(machine)
    finally:
        locked.chmod(0o700)
    assert listed.code == 0
    assert "cannot be read: 1 folder" in listed.errors


HOSTILE_FOLDERS = {
    "no-config": (b"", b""),
    "deep-config": (b"[" * 200_000, b""),
    "long-config": (b'{"model_type":"' + b"x" * (8 << 20) + b'"}', b""),
    "evil-config": (b'{"model_type":"\\u001b]52;c;aGk=\\u0007"}', packed(b"{}")),
    "no-weights": (b'{"model_type":"llama"}', b""),
    "long-header": (b'{"model_type":"llama"}', struct.pack("<Q", 1 << 62) + bytes(64)),
    "deep-header": (b'{"model_type":"llama"}', packed(b'{"a":' + b"[" * 3_000_000)),
    "absurd": (
        b'{"model_type":"llama"}',
        packed(b'{"a":{"dtype":"F16","shape":[9999999999999],"data_offsets":[0,1]}}'),
    ),
}


def test_hostile_folders_are_listed_with_their_problems(machine: Machine) -> None:
    for name, (config, weights) in HOSTILE_FOLDERS.items():
        folder = machine.models / name
        folder.mkdir()
        (folder / "config.json").write_bytes(config)
        (folder / "model.safetensors").write_bytes(weights)
    with (machine.models / "sparse.llamafile").open("wb") as sparse:
        sparse.truncate(1 << 40)
    listed = ls(machine)

    assert listed.code == 0, listed.errors
    assert listed.peak_bytes < MOST_BYTES, listed.peak_bytes >> 20
    problems = {model["name"]: model["problem"] for model in listed.models}
    assert all(problems[name] for name in (*HOSTILE_FOLDERS, "sparse"))
    assert problems["second"] is None


def test_a_folder_of_a_hundred_thousand_files_stays_within_bounds(machine: Machine) -> None:
    crowd = machine.models / "crowd"
    crowd.mkdir()
    (crowd / "config.json").write_text('{"model_type":"llama"}')
    for number in range(100_000):
        suffix = (".gguf", ".gguf", ".safetensors", ".txt")[number % 4]
        os.close(os.open(crowd / f"m{number:06}{suffix}", os.O_CREAT | os.O_WRONLY))
    listed = ls(machine)

    assert listed.code == 0, listed.errors
    assert listed.peak_bytes < MOST_BYTES, listed.peak_bytes >> 20
    assert any(model["name"] == "second" for model in listed.models)
    assert "Not listed because of their problems: 49,001 more files." in listed.errors
