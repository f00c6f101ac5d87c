"""The machine in the top bar: as much of it as there is room for."""

from __future__ import annotations

import pytest

from modeldeck.engines.hardware.types import GpuSnapshot, HardwareSnapshot, HostSnapshot, Mig
from modeldeck.tui.state import Notice
from modeldeck.tui.widgets.chrome import hardware_line, notice_line

GIB = 1 << 30
HOST = HostSnapshot("gpubox", "Ryzen", 12, 3.0, 64 * GIB, 60 * GIB)
SMALL = GpuSnapshot(0, "NVIDIA GeForce RTX 3060", 12 * GIB, 8 * GIB, 4 * GIB, 0, 41)
CUT = GpuSnapshot(1, "NVIDIA A100", 80 * GIB, GIB, 79 * GIB, mig=Mig.PARENT)
PART = GpuSnapshot(2, "NVIDIA A100 MIG 1g.10gb", 10 * GIB, GIB, 9 * GIB, mig=Mig.INSTANCE)
SILENT = GpuSnapshot(3, "NVIDIA GB10")


@pytest.mark.parametrize(
    ("gpus", "room", "line"),
    [
        ((SMALL,), 0, "gpubox  RTX 3060  8.0/12.0 GiB  41°C "),
        ((SMALL,), 37, "gpubox  RTX 3060  8.0/12.0 GiB  41°C "),
        ((SMALL,), 36, "RTX 3060  8.0/12.0 GiB  41°C "),
        ((SMALL, CUT, PART), 60, "gpubox  A100 MIG 1g.10gb  1.0/10.0 GiB  +1 GPU "),
        (
            (SMALL, PART._replace(memory_free_bytes=GIB)),
            38,
            "RTX 3060  8.0/12.0 GiB  41°C  +1 GPU ",
        ),
        ((SMALL, PART._replace(memory_free_bytes=GIB)), 32, "RTX 3060  8.0/12.0 GiB  +1 GPU "),
        ((SMALL,), 5, "8.0/12.0 GiB "),
        ((SILENT,), 0, "gpubox  GB10  memory n/a "),
        ((), 0, "gpubox  no NVIDIA GPU  RAM 4.0/64.0 GiB "),
        ((), 40, "gpubox  no NVIDIA GPU  RAM 4.0/64.0 GiB "),
        ((), 36, "no NVIDIA GPU  RAM 4.0/64.0 GiB "),
    ],
)
def test_what_matters_least_goes_first(gpus: tuple[GpuSnapshot, ...], room: int, line: str) -> None:
    assert hardware_line(HardwareSnapshot(gpus, HOST), room).plain == line


def test_before_the_first_sample_there_is_nothing() -> None:
    assert hardware_line(None, 40).plain == ""


FAILED = Notice("It failed.", "Try another.", failure=True, log_tail=("bang",))


@pytest.mark.parametrize(
    ("notice", "width", "said"),
    [
        (None, 80, ""),
        (Notice("Theme ink."), 80, "Theme ink. "),
        (FAILED, 80, "✕ It failed. Try another.   l log"),
        (FAILED, 33, "✕ It failed. Try another.   l log"),
        (FAILED, 32, "✕ It failed. Try another.\n  l log"),
        (FAILED, 24, "✕ It failed.\n  Try another.   l log"),
        (FAILED, 22, "✕ It failed.\n  Try another.   l log"),
        (FAILED, 20, "✕ It failed.\n  Try another.\n  l log"),
        (FAILED._replace(log_tail=()), 80, "✕ It failed. Try another."),
        (
            Notice("It failed.", failure=True, offer="loads it smaller."),
            80,
            "✕ It failed. esc r loads it smaller.",
        ),
    ],
)
def test_what_to_do_is_kept_together(notice: Notice | None, width: int, said: str) -> None:
    assert notice_line(notice, width, log_keys="l", retry_keys="esc r").plain == said
