"""Pulls that are killed at any moment, as by a power cut or ``kill -9``, and begun again."""

from __future__ import annotations

import os
import random
from pathlib import Path
from shutil import rmtree

import pytest

from modeldeck.engines.pulls.parts import part_bytes_for
from modeldeck.engines.pulls.places import UNDER_WAY
from modeldeck.engines.pulls.types import Destination, Layout, PullState
from modeldeck.engines.units import MIB
from tests.support.file_server import FileServer, serving
from tests.support.hub import repository
from tests.support.killed_pulls import Kill, journalled, killed_pull

COMMIT = "c0ffee" + "0" * 34


def kill_once(server: FileServer, folder: Path, kill: Kill, size: int) -> bool:
    """Pull ``hf:o/n`` until it is killed or ends; whether it was killed.

    What the kill cost is what the server sent and the next run will ask for again.
    """
    environ = {**os.environ, "HF_ENDPOINT": server.url}
    before, sent = journalled(folder), server.sent_bytes
    hit = killed_pull("hf:o/n", Destination(Layout.HUB_CACHE, folder), environ, kill)
    after = journalled(folder)
    if hit and after is not None:
        useful = sum(after.done.values()) - (sum(before.done.values()) if before else 0)
        lost = server.sent_bytes - sent - useful
        assert useful >= 0
        assert lost <= 2 * part_bytes_for(size), f"{kill} cost {lost:,} bytes"
    return hit


def finish(server: FileServer, folder: Path) -> None:
    """Pull to the end."""
    environ = {**os.environ, "HF_ENDPOINT": server.url}
    assert not killed_pull("hf:o/n", Destination(Layout.HUB_CACHE, folder), environ, None)


def is_whole(folder: Path, content: bytes) -> None:
    from huggingface_hub import scan_cache_dir, try_to_load_from_cache

    path = try_to_load_from_cache("o/n", "m.gguf", cache_dir=folder)
    assert isinstance(path, str)
    assert Path(path).read_bytes() == content
    assert not scan_cache_dir(folder).warnings
    assert not (folder / "models--o--n" / UNDER_WAY).exists()


def test_a_pull_killed_while_it_runs_goes_on_where_it_was(tmp_path: Path) -> None:
    content = os.urandom(MIB) * 40
    kills = [Kill(done_bytes=(done * MIB), seconds=0.003) for done in (3, 17, 33)]
    with serving(repository("o/n", {"m.gguf": content}, commit=COMMIT)) as server:
        hits = [kill_once(server, tmp_path, kill, len(content)) for kill in kills]
        assert any(hits)
        finish(server, tmp_path)
        assert server.sent_bytes < len(content) + 3 * 2 * part_bytes_for(len(content))
    is_whole(tmp_path, content)


@pytest.mark.parametrize("step", [1, 4, 7, 10])
def test_a_pull_killed_while_it_is_placed_is_finished_by_the_next(
    tmp_path: Path, step: int
) -> None:
    content = os.urandom(MIB) * 2
    kill = Kill(PullState.VERIFYING, step=step)
    with serving(repository("o/n", {"m.gguf": content}, commit=COMMIT)) as server:
        assert kill_once(server, tmp_path, kill, len(content))
        finish(server, tmp_path)
        assert server.sent_bytes < 1.1 * len(content)
    is_whole(tmp_path, content)


@pytest.mark.parametrize("step", [2, 3, 4])
def test_a_file_at_an_address_is_placed_once_however_often_it_is_killed(
    tmp_path: Path, step: int
) -> None:
    """Nobody says its digest, so that what is in place already has to be known again."""
    content = os.urandom(MIB) * 2
    there = Destination(Layout.FOLDER, tmp_path)
    with serving({"/m.gguf": content}) as server:
        kill = Kill(PullState.VERIFYING, step=step)
        assert killed_pull(f"{server.url}/m.gguf", there, os.environ, kill)
        assert not killed_pull(f"{server.url}/m.gguf", there, os.environ, None)
        assert server.sent_bytes < 1.1 * len(content)
    assert (tmp_path / "m.gguf").read_bytes() == content
    assert not (tmp_path / UNDER_WAY).exists()


@pytest.mark.chaos
def test_fifty_kills_at_random_of_a_large_pull(tmp_path: Path) -> None:
    dice = random.Random(20261124)
    content = os.urandom(MIB) * 272
    size = len(content)
    assert size // part_bytes_for(size) >= 8
    hits = runs = 0
    with serving(repository("o/n", {"m.gguf": content}, commit=COMMIT)) as server:
        while hits < 50:
            runs += 1
            for kill in (*_while_it_runs(dice, size, 6), *_at_the_end(dice, 12)):
                hits += kill_once(server, tmp_path, kill, size)
            finish(server, tmp_path)
            is_whole(tmp_path, content)
            rmtree(tmp_path / "models--o--n")
        assert server.sent_bytes < runs * size + hits * 2 * part_bytes_for(size)


def _while_it_runs(dice: random.Random, size: int, count: int) -> list[Kill]:
    """Ever later, so that each is reached."""
    points = sorted(dice.randrange(size) for _ in range(count))
    return [Kill(done_bytes=done, seconds=dice.uniform(0, 0.05)) for done in points]


def _at_the_end(dice: random.Random, count: int) -> list[Kill]:
    """While it is verified and, ever later, while it is placed."""
    verified = [Kill(PullState.VERIFYING, seconds=dice.uniform(0, 0.15)) for _ in range(count // 2)]
    steps = sorted(dice.randint(1, 12) for _ in range(count - count // 2))
    return [*verified, *(Kill(PullState.VERIFYING, step=step) for step in steps)]
