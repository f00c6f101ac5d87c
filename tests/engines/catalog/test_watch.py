"""What comes and goes in folders is told soon, once, and at no cost while nothing does."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from modeldeck.engines.catalog.watch import POLLED, FolderWatch, folder_times, matters

PATIENCE_S = 10.0


class Told:
    """What a watch says."""

    def __init__(self) -> None:
        self.changes: SimpleQueue[None] = SimpleQueue()
        self.notes: SimpleQueue[str] = SimpleQueue()

    def change(self) -> None:
        """Wait for one; forgets those that follow at once."""
        self.changes.get(timeout=PATIENCE_S)

    def quiet(self, seconds: float) -> bool:
        """Whether nothing is told for so long."""
        try:
            self.changes.get(timeout=seconds)
        except Empty:
            return True
        return False


@contextmanager
def watching(*roots: Path, poll_s: float = 30.0, most: int = 2048) -> Generator[Told]:
    told = Told()
    watch = FolderWatch(
        roots,
        lambda: told.changes.put(None),
        told.notes.put,
        settle_s=0.3,
        poll_s=poll_s,
        most=most,
    )
    watch.start()
    try:
        yield told
    finally:
        watch.stop()


def test_what_comes_before_the_watch_begins_is_told_too(tmp_path: Path) -> None:
    with watching(tmp_path) as told:
        assert told.quiet(0.1)
        (tmp_path / "early.gguf").touch()
        told.change()


def test_folders_made_later_are_watched(tmp_path: Path) -> None:
    with watching(tmp_path / "models") as told:
        assert told.quiet(0.6)
        inner = tmp_path / "models" / "org"
        inner.mkdir(parents=True)
        told.change()
        while not told.quiet(1.0):
            pass
        (inner / "new.gguf").touch()
        told.change()
        while not told.quiet(1.0):
            pass
        (inner / "new.gguf").unlink()
        told.change()


def test_many_changes_at_once_are_told_a_few_times(tmp_path: Path) -> None:
    with watching(tmp_path) as told:
        assert told.quiet(0.8)
        for number in range(300):
            (tmp_path / f"{number}.gguf").touch()
        told.change()
        told.quiet(0.6)
        assert told.quiet(1.0)
        (tmp_path / "weights.incomplete").touch()
        assert told.quiet(1.0)


def test_too_many_folders_are_polled_and_that_is_said(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / str(number)).mkdir()
    with watching(tmp_path, poll_s=0.2, most=8) as told:
        assert told.notes.get(timeout=PATIENCE_S) == POLLED
        assert told.quiet(0.5)
        (tmp_path / "3" / "new.gguf").touch()
        told.change()
        assert told.quiet(0.5)


def test_folders_are_counted_once_and_no_further_than_asked(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "models--o--n" / "blobs").mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe")
    found = folder_times([tmp_path, tmp_path / "gone"])
    assert {Path(folder).name for folder in found} == {tmp_path.name, "a", "b", "models--o--n"}
    assert len(folder_times([tmp_path], most=2)) == 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.gguf", True), ("config.json", True), ("main", True), ("x.incomplete", False)],
)
def test_what_is_not_finished_does_not_matter(name: str, expected: bool) -> None:
    assert matters(f"/models/{name}") is expected
