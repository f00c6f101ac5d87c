"""NVML as this project needs it: what is asked, and how it may fail."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol

from modeldeck.engines.hardware.types import GpuClocks, Mig, PcieLink

# Where Linux, WSL and Jetson keep devices of the driver, and where its library may lie without any.
_SIGNS: Final = (
    "/dev/nvidiactl",
    "/proc/driver/nvidia",
    "/dev/dxg",
    "/dev/nvmap",
    "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
    "/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1",
    "/usr/lib64/libnvidia-ml.so.1",
    "/usr/lib/libnvidia-ml.so.1",
    "/usr/local/nvidia/lib64/libnvidia-ml.so.1",
    "/run/opengl-driver/lib/libnvidia-ml.so.1",
)


def driver_may_be_here(platform: str = sys.platform, signs: Iterable[str] = _SIGNS) -> bool:
    """Whether looking for NVIDIA's library is worth its time; on Linux alone that is known."""
    return platform != "linux" or any(map(os.path.exists, signs))


class NvmlFault(Enum):
    """What a failed call means for the next one."""

    UNSUPPORTED = auto()
    """This device or this driver never gives the reading."""
    FAILED = auto()
    """This time; it may work later."""
    DEVICE_LOST = auto()
    """The device is gone; the others may go on."""
    NO_LIBRARY = auto()
    """libnvidia-ml is not installed."""
    NO_DRIVER = auto()
    """The library is there, the kernel driver is not loaded (or not reachable from here)."""
    NO_PERMISSION = auto()
    """The driver is there and does not let us."""
    MISMATCH = auto()
    """Library and kernel driver are of different versions: a driver update without a restart."""
    NOT_STARTED = auto()
    """The session has ended under us."""


class NvmlError(Exception):
    """An NVML call failed.

    Attributes:
        kind: what that means.
        detail: NVML's own words.
    """

    def __init__(self, kind: NvmlFault, detail: str = "") -> None:
        super().__init__(detail or kind.name)
        self.kind = kind
        self.detail = detail


class NvmlMemory(NamedTuple):
    """One reading of a device's memory. ``reserved_bytes`` is None before driver 510."""

    total_bytes: int
    free_bytes: int
    reserved_bytes: int | None = None


class Nvml(Protocol):
    """What is asked of NVML. Devices go by index; every method may raise ``NvmlError``.

    The instances of a device that is cut up (MIG) are devices of their own, after the whole ones.
    """

    def start(self) -> None:
        """Open a session; devices that appeared since the last one are found."""
        ...

    def stop(self) -> None:
        """End the session."""
        ...

    def driver_version(self) -> str:
        """Version of the kernel driver."""
        ...

    def cuda_version(self) -> tuple[int, int]:
        """Newest CUDA version that the driver runs, ``(major, minor)``."""
        ...

    def device_count(self) -> int:
        """Devices this user may see, and the instances of those that are cut up."""
        ...

    def mig(self, index: int) -> Mig:
        """Whether the device is cut into instances, or is one."""
        ...

    def clocks(self, index: int) -> GpuClocks:
        """Clocks of the cores and of the memory."""
        ...

    def pcie(self, index: int) -> PcieLink:
        """The link to the host."""
        ...

    def throttle_bits(self, index: int) -> int:
        """Why clocks are held down: bits of ``nvmlClocksEventReasons``."""
        ...

    def is_persistent(self, index: int) -> bool:
        """Whether the driver keeps the device ready while no program holds it (Linux only)."""
        ...

    def name(self, index: int) -> str:
        """Product name, as the driver gives it."""
        ...

    def uuid(self, index: int) -> str:
        """``GPU-…``, or ``MIG-…`` of an instance."""
        ...

    def compute_capability(self, index: int) -> tuple[int, int]:
        """``(major, minor)``."""
        ...

    def memory(self, index: int) -> NvmlMemory:
        """Total, free and reserved memory now."""
        ...

    def utilisation_percent(self, index: int) -> int:
        """Share of the last sample period in which a kernel ran."""
        ...

    def temperature_celsius(self, index: int) -> int:
        """Of the die."""
        ...

    def power_watts(self, index: int) -> float:
        """Drawn now."""
        ...

    def power_limit_watts(self, index: int) -> float:
        """Enforced limit."""
        ...

    def energy_joules(self, index: int) -> float:
        """Drawn since the driver was loaded."""
        ...

    def processes(self, index: int) -> tuple[tuple[int, int | None], ...]:
        """``(pid, used bytes or None)`` of compute and graphics processes; a pid may repeat."""
        ...

    def process_name(self, pid: int) -> str:
        """The program's path or command line, as the driver gives it."""
        ...
