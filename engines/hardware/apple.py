"""Apple's chips: one memory for processor and GPU, as ``sysctl`` and the host tell of it."""

from __future__ import annotations

import sys
from typing import Final

from modeldeck.engines.hardware.types import GpuSnapshot, HostSnapshot
from modeldeck.engines.text import clean_line

_SYSCTL: Final = ("/usr/sbin/sysctl", "-n", "hw.optional.arm64")


def apple_gpu(host: HostSnapshot, index: int = 0) -> GpuSnapshot:
    """The GPU of an Apple chip: it shares the host's memory, so what is free there is free here."""
    total, available = host.memory_total_bytes, host.memory_available_bytes
    used = None if total is None or available is None else max(0, total - available)
    return GpuSnapshot(
        number=index,
        name=clean_line(host.cpu_name, 80) or "Apple GPU",
        memory_total_bytes=total,
        memory_used_bytes=used,
        memory_free_bytes=available,
        driver="Metal",
    )


def is_apple_chip(platform: str = sys.platform) -> bool:
    """Whether this is a Mac with a chip of Apple's; asks ``sysctl`` on a Mac only."""
    if platform != "darwin":
        return False
    import subprocess  # 4 ms, which only a Mac needs

    try:
        said = subprocess.run(_SYSCTL, capture_output=True, timeout=2, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    return said.strip() == b"1"
