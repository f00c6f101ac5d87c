"""The count of what a process holds finds every kind of leak; a tool that cannot fail is none."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support.census import Census, wait_for_same


@contextmanager
def a_file(folder: Path) -> Generator[None]:
    (folder / "left").touch()
    yield
    (folder / "left").unlink()


@contextmanager
def a_descriptor(_: Path) -> Generator[None]:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    yield
    os.close(descriptor)


@contextmanager
def a_socket(_: Path) -> Generator[None]:
    with socket.socket(socket.AF_UNIX):
        yield


@contextmanager
def a_thread(_: Path) -> Generator[None]:
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    yield
    end.set()
    thread.join()


@contextmanager
def a_process(_: Path) -> Generator[None]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield
        process.kill()


@pytest.mark.parametrize("leak", [a_file, a_descriptor, a_socket, a_thread, a_process])
def test_a_leak_is_found_and_its_end_too(
    tmp_path: Path, leak: Callable[[Path], AbstractContextManager[None]]
) -> None:
    def count() -> Census:
        return Census.of(os.getpid(), tmp_path)

    before = count()
    with leak(tmp_path), pytest.raises(AssertionError, match="left behind"):
        wait_for_same(before, count, timeout_s=0)
    wait_for_same(before, count)
