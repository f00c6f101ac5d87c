"""How fast a large file comes, against the shell's own tools, and what that takes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.support.measures import interleaved
from tests.support.peak_memory import run_and_weigh

pytestmark = pytest.mark.bench

SIZE = 2_000_000_000
ROUNDS = 5

# Resolved as the service gets it, with the digest that a registry would have listed.
_PULL = """
import json, sys, time
from pathlib import Path
from modeldeck.engines.pulls.control import Control
from modeldeck.engines.pulls.pull import run_pull
from modeldeck.engines.pulls.types import Destination, Layout, Wanted, WantedFile
url, folder, size, digest = sys.argv[1:]
file = WantedFile("m.gguf", url, int(size), digest, digest)
to = Destination(Layout.FOLDER, Path(folder))
events = []
begun = time.monotonic()
run_pull(Wanted(url, "m", "", "", "", (file,), to), {}, Control(), events.append)
print(json.dumps([time.monotonic() - begun, len(events)]))
"""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that does not compress."""
    path = tmp_path / "served"
    with path.open("wb") as file:
        for _ in range(SIZE // 1_000_000):
            file.write(os.urandom(1_000_000))
    return path


@pytest.fixture
def url(large: Path) -> Generator[str]:
    """Where it is served."""
    server = [sys.executable, "-m", "tests.support.sendfile_server", str(large)]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/m.gguf"
        process.kill()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_a_large_file_comes_as_fast_as_by_the_shells_tools(
    tmp_path: Path, large: Path, url: str, measured: Callable[..., None]
) -> None:
    with large.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    folder, plain = tmp_path / "ours", tmp_path / "theirs"
    peaks: list[float] = []
    events: list[float] = []

    def ours() -> float:
        words = [sys.executable, "-c", _PULL, url, str(folder), str(SIZE), digest]
        ran = run_and_weigh(words, os.environ, patience_s=600)
        assert not ran.code, ran.errors
        seconds, told = json.loads(ran.output)
        assert (folder / "m.gguf").stat().st_size == SIZE
        shutil.rmtree(folder)
        peaks.append(ran.peak_bytes / (1 << 20))
        events.append(told / seconds)
        return float(seconds)

    def theirs() -> float:
        begun = time.monotonic()
        line = f"curl -sf {url} | tee {plain} | sha256sum"
        found = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
        seconds = time.monotonic() - begun
        assert found.stdout.split()[0] == digest
        plain.unlink()
        return seconds

    rounds = interleaved(ROUNDS, ours, theirs)
    measured(
        "a pull of 2 GB from loopback, verified: throughput over that of curl, tee, sha256sum",
        *(theirs / ours for ours, theirs in rounds),
        sense="at least",
        limit=0.9,
    )
    measured("its throughput", *(SIZE / ours / 1e6 for ours, _ in rounds), unit="MB/s")
    measured("memory of the whole process", *peaks, unit="MiB", limit=64, worst=True)
    measured("reports of progress", *events, unit="a second", limit=10, worst=True)
