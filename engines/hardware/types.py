"""What the machine is and does now: frozen snapshots. None means "n/a": nobody can tell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GpuSnapshot:
    """One GPU at one moment; every reading that the driver does not give is None.

    Attributes:
        index: NVML's index.
        name: product name, cleaned.
        memory_total_bytes: as the driver reports it.
        memory_used_bytes: by every process and the driver.
        memory_free_bytes: what can still be allocated.
        utilisation_percent: share of the last sample period a kernel ran.
        temperature_celsius: of the die.
        power_watts: drawn now.
        power_limit_watts: enforced limit.
        driver: driver version.
        compute_capability: ``(major, minor)``.
    """

    index: int
    name: str
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    memory_free_bytes: int | None = None
    utilisation_percent: int | None = None
    temperature_celsius: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    driver: str | None = None
    compute_capability: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """The host at one moment."""

    name: str
    cpu_name: str
    cpu_cores: int
    cpu_percent: float | None = None
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class HardwareSnapshot:
    """GPUs and host together.

    Attributes:
        gpus: empty on a machine without an NVIDIA driver, which is a normal state.
        host: the host.
        gpu_note: one sentence saying why there is no GPU; empty when there is one.
    """

    gpus: tuple[GpuSnapshot, ...]
    host: HostSnapshot
    gpu_note: str = ""
