"""Apple's chips share the host's memory."""

from __future__ import annotations

from modeldeck.engines.hardware.apple import apple_gpu, is_apple_chip
from modeldeck.engines.hardware.monitor import OtherGpus
from modeldeck.engines.hardware.types import HostSnapshot

GIB = 1 << 30
HOST = HostSnapshot("mac", "Apple M4 Pro", 12, 1.0, 48 * GIB, 30 * GIB)


def test_the_memory_of_the_host_is_that_of_the_gpu() -> None:
    gpu = apple_gpu(HOST, 0)
    assert gpu.name == "Apple M4 Pro"
    assert (gpu.memory_total_bytes, gpu.memory_free_bytes) == (48 * GIB, 30 * GIB)
    assert gpu.memory_used_bytes == 18 * GIB


def test_other_systems_are_not_asked() -> None:
    assert not is_apple_chip("linux")
    assert not is_apple_chip("win32")
    assert OtherGpus("win32")(HOST, 0) == ()
