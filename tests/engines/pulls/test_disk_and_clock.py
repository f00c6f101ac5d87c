"""What the machine itself does to a pull: a disk that fills up, a power cut, a clock that jumps."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modeldeck.engines.pulls import journal
from modeldeck.engines.pulls.control import Bandwidth, Control
from modeldeck.engines.pulls.errors import Stopped
from modeldeck.engines.pulls.places import UNDER_WAY
from modeldeck.engines.pulls.pull import Report, run_pull
from modeldeck.engines.units import MIB
from tests.support.file_server import serving
from tests.support.pulls import CONTENT, HASTY, at_address, pulled
from tests.support.small_disk import on_small_disk, why_not

_FILLED = """
import hashlib, json, sys
from pathlib import Path
from modeldeck.engines.pulls import part_file
from modeldeck.engines.pulls.control import Bandwidth, Control
from modeldeck.engines.pulls.errors import DiskFull
from tests.support.pulls import HASTY, pulled
from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.pulls.pull import run_pull
from modeldeck.engines.pulls.types import Destination, Layout
from modeldeck.engines.pulls.wanted import wanted
from tests.support.small_disk import fill
part_file._KEPT_FREE_BYTES = 0
folder = Path(sys.argv[2])
want = wanted(parse_target(sys.argv[1]), Destination(Layout.FOLDER, folder), {})
fillers = []
def told(report):
    if report.files[0].done_bytes > 2 << 20 and not fillers:
        fillers.append(fill(folder))
missing = 0
try:
    run_pull(want, {}, Control(Bandwidth(8 << 20)), told, HASTY)
except DiskFull as full:
    missing = full.missing_bytes
fillers[0].unlink()
placed, reports = pulled(want)
digest = hashlib.sha256(placed[0].read_bytes()).hexdigest()
print(json.dumps([missing, reports[0].files[0].done_bytes, digest]))
"""


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_disk_that_fills_up_on_the_way_keeps_what_came(tmp_path: Path) -> None:
    content = CONTENT[: 6 * MIB]
    with serving({"/m.gguf": content}) as server:
        words = [sys.executable, "-c", _FILLED, f"{server.url}/m.gguf", str(tmp_path)]
        done = subprocess.run(
            on_small_disk(words, tmp_path),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
        )
        assert not done.returncode, done.stderr
        missing, kept, digest = json.loads(done.stdout)
        assert 1 * MIB < missing < 5 * MIB
        assert kept > 1 * MIB
        assert server.sent_bytes < 2 * len(content) - MIB
    assert digest == hashlib.sha256(content).hexdigest()


def test_what_a_power_cut_took_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reboot only what was forced to the disk counts, whatever else the journal says."""
    control = Control(Bandwidth(24 * MIB))

    def stop(report: Report) -> None:
        if report.files[0].done_bytes > 12 * MIB:
            control.stop()

    with serving({"/m.gguf": CONTENT}) as server:
        want = at_address(server, tmp_path)
        with pytest.raises(Stopped):
            run_pull(want, {}, control, stop, HASTY)
        (part,) = (tmp_path / UNDER_WAY).glob("*.part")
        (notes,) = (tmp_path / UNDER_WAY).glob("*.journal")
        lines = notes.read_bytes().split(b"\n")
        notes.write_bytes(b"\n".join(line for line in lines if not line.startswith(b"s ")))
        os.truncate(part, 0)
        os.truncate(part, len(CONTENT))
        monkeypatch.setattr(journal, "_BOOT", tmp_path / "boot")
        (tmp_path / "boot").write_text("another")
        placed, told = pulled(want)
    assert placed[0].read_bytes() == CONTENT
    assert told[0].files[0].done_bytes < 12 * MIB


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_clock_that_jumps_matters_to_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    now, jumps = time.time, itertools.count()
    monkeypatch.setattr(time, "time", lambda: now() + next(jumps) * jump)
    with serving({"/m.gguf": CONTENT}) as server:
        want = at_address(server, tmp_path)
        begun = time.monotonic()
        placed, told = pulled(want, control=Control(Bandwidth(80 * MIB)))
        seconds = time.monotonic() - begun
    assert placed[0].read_bytes() == CONTENT
    done = [report.files[0].done_bytes for report in told]
    assert done == sorted(done)
    assert len(told) <= 10 * seconds + 5
