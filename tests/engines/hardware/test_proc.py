"""Memory and processor times without psutil, which must agree with it where both can read."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from modeldeck.engines.hardware import proc

MEMINFO = "MemTotal:       32768000 kB\nMemFree: 1 kB\nMemAvailable:   20480000 kB\nHugePages: 0\n"
STAT = "cpu  100 20 30 400 50 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n"


def test_what_the_kernel_says(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(MEMINFO)
    (tmp_path / "stat").write_text(STAT)

    assert proc.memory(tmp_path) == (32768000 * 1024, 20480000 * 1024)
    assert proc.times(tmp_path) == (100 + 20 + 30 + 400 + 50 + 6 + 7 + 8, 450)


def test_psutil_says_the_same() -> None:
    memory = psutil.virtual_memory()
    assert proc.memory().total_bytes == memory.total
    assert abs(proc.memory().available_bytes - memory.available) < memory.total / 10
    times = psutil.cpu_times()
    share = (times.idle + getattr(times, "iowait", 0.0)) / (
        sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    )
    assert proc.times().idle / proc.times().total == pytest.approx(share, rel=0.01)


@pytest.mark.parametrize(
    ("meminfo", "stat"),
    [(None, None), ("", ""), ("MemTotal: x kB", "cpu a b"), ("MemTotal: 5 kB", "cpu  1 2")],
)
def test_without_the_kernels_word_psutil_is_asked(
    tmp_path: Path, meminfo: str | None, stat: str | None
) -> None:
    if meminfo is not None and stat is not None:
        (tmp_path / "meminfo").write_text(meminfo)
        (tmp_path / "stat").write_text(stat)

    assert proc.memory(tmp_path).total_bytes == psutil.virtual_memory().total
    assert 0 < proc.times(tmp_path).idle <= proc.times(tmp_path).total


def test_swap_is_what_is_not_free_of_it(tmp_path: Path) -> None:
    assert proc.swap_used_bytes(tmp_path) is None
    (tmp_path / "meminfo").write_text(MEMINFO + "SwapTotal: 100 kB\nSwapFree: 60 kB\n")
    assert proc.swap_used_bytes(tmp_path) == 40 * 1024
    assert proc.swap_used_bytes() == psutil.swap_memory().used


def test_mounts_are_those_that_psutil_sees(tmp_path: Path) -> None:
    assert proc.mounts(tmp_path) == ()
    theirs = {(one.device, Path(one.mountpoint)) for one in psutil.disk_partitions(all=True)}
    assert {(one.device, one.folder) for one in proc.mounts()} >= theirs
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mounts").write_text("a /m\\040x\\134 xfs rw 0 0\nbroken\n")
    assert proc.mounts(tmp_path) == (proc.Mount("a", Path("/m x\\"), "xfs"),)
