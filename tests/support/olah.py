"""``olah``, a mirror of the Hub by others, with a repository of git's behind it.

It is installed into an environment of its own; where that cannot be had, the tests that want it are
skipped with the reason.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

_PACKAGE = "olah==0.5.4"
_SETTINGS = """[basic]
host = "127.0.0.1"
port = {port}
repos-path = "{folder}/repos"
mirrors-path = ["{folder}/mirrors"]
[accessibility]
offline = true
"""


def installed(folder: Path) -> Path:
    """Its program; installed on the first call. Skips the test where it cannot be."""
    program = folder / "bin" / "olah-cli"
    if program.is_file():
        return program
    if shutil.which("git") is None:
        pytest.skip("olah serves git's repositories, and there is no git here")
    uv = [sys.executable, "-m", "uv"]
    python = str(folder / "bin" / "python")
    for words in (
        [*uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)],
        [*uv, "pip", "install", "-q", "--python", python, _PACKAGE],
    ):
        done = subprocess.run(words, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.skip(f"olah cannot be installed: {done.stderr.strip()[-200:]}")
    return program


@contextmanager
def olah(program: Path, folder: Path, name: str, files: Mapping[str, bytes]) -> Generator[str]:
    """Its address, while it serves the files as the repository ``name``."""
    repository = folder / "mirrors" / "models" / name
    repository.mkdir(parents=True)
    for file, content in files.items():
        (repository / file).write_bytes(content)
    me = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], [*me, "commit", "-q", "-m", "it"]):
        subprocess.run(["git", *words], cwd=repository, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    settings = folder / "olah.toml"
    settings.write_text(_SETTINGS.format(port=port, folder=folder))
    server = subprocess.Popen(
        [program, "-c", settings],
        cwd=folder,
        env={**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(server, url)
        yield url
    finally:
        server.kill()
        server.wait()


def _wait(server: subprocess.Popen[bytes], url: str) -> None:
    for _ in range(300):
        try:
            httpx.get(f"{url}/api/models/nobody/nothing/revision/main")
            return
        except httpx.TransportError:
            assert server.poll() is None
            time.sleep(0.1)
    raise AssertionError("olah never answered")
