"""Sockets lie where only their owner can go, and dead decks' are swept up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modeldeck.engines.adapters.llama_server_address import (
    SocketDirectory,
    new_address,
    sweep_stale_directories,
)


@pytest.fixture
def dead_pid() -> int:
    """The id of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_only_what_a_dead_deck_left_is_removed(tmp_path: Path, dead_pid: int) -> None:
    stale = tmp_path / f"modeldeck-{dead_pid}-abc"
    # Names that a stranger may have given in a directory we share.
    others = [
        tmp_path / name
        for name in (
            f"modeldeck-{os.getpid()}-live",
            f"modeldeck-{10**30}-x",
            "modeldeck-²-x",
            "modeldeck--x",
            "modeldeck-me-x",
            f"other-{dead_pid}-x",
        )
    ]
    for folder in (stale, *others):
        folder.mkdir()
        (folder / "llama.sock").touch()

    sweep_stale_directories(tmp_path)

    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_a_link_is_not_followed(tmp_path: Path, dead_pid: int) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    base = tmp_path / "run"
    base.mkdir()
    (base / f"modeldeck-{dead_pid}-x").symlink_to(precious)

    sweep_stale_directories(base)

    assert (precious / "file").exists()


def test_the_directory_is_its_owners_alone(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path_factory.mktemp("r")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))

    address, directory = new_address()

    assert directory is not None
    assert directory.path.parent == base
    assert directory.path.stat().st_mode & 0o777 == 0o700
    assert address.host == str(directory.path / "llama.sock")
    directory.remove()
    directory.remove()
    assert list(base.iterdir()) == []


def test_one_that_is_in_use_stays_though_its_process_cannot_be_seen(
    tmp_path: Path, dead_pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: dead_pid)  # a number of another container
    directory = SocketDirectory(tmp_path)
    sweep_stale_directories(tmp_path)
    assert list(tmp_path.iterdir()) == [directory.path]
    directory.remove()
