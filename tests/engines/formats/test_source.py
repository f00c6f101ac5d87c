"""Whatever a name leads to, only a regular file is opened, and nothing blocks."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.source import open_regular

DESCRIPTORS = Path("/proc/self/fd")


def refused(path: Path) -> str:
    with pytest.raises(FormatError) as caught, open_regular(path):
        pytest.fail("it was opened")
    return caught.value.cause


def test_a_regular_file_is_read_at_any_place(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")

    with open_regular(path) as source:
        assert source.size_bytes == 10
        assert source.read_at(8, 100) == b"89"
        assert source.read_at(2, 3) == b"234"
        assert source.read_at(50, 3) == b""


def test_a_pipe_never_blocks(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.gguf"
    os.mkfifo(pipe)
    link = tmp_path / "link.gguf"
    link.symlink_to(pipe)

    assert "no regular file" in refused(pipe)
    assert "no regular file" in refused(link)


def test_folders_devices_and_sockets_are_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))

        for path in (tmp_path, Path("/dev/null"), Path("/dev/zero"), tmp_path / "socket"):
            assert "no regular file" in refused(path)


def test_a_file_that_is_not_there_is_no_format_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_regular(tmp_path / "gone"):
        pytest.fail("it was opened")


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="no list of open files here")
def test_nothing_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    before = len(list(DESCRIPTORS.iterdir()))

    with pytest.raises(KeyError), open_regular(path):
        raise KeyError

    assert len(list(DESCRIPTORS.iterdir())) == before
