"""What the machine is and does now: frozen snapshots. None means "n/a": nobody can tell."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class GpuProcess(NamedTuple):
    """One process that holds memory on a GPU.

    Attributes:
        pid: as the driver counts it: inside a container it may be no process of ours.
        name: what people call the program, cleaned; of a deck's engine the model it holds; empty
            when nobody can tell.
        used_bytes: None where the driver does not tell (Windows' WDDM).
        deck: the process of the modeldeck that it is an engine of, 0 when that is not to be seen;
            None for any other program.
    """

    pid: int
    name: str
    used_bytes: int | None = None
    deck: int | None = None


class GpuClocks(NamedTuple):
    """Clocks now and at most, in MHz; each is None where the driver does not tell."""

    graphics_mhz: int | None = None
    graphics_max_mhz: int | None = None
    memory_mhz: int | None = None
    memory_max_mhz: int | None = None


class PcieLink(NamedTuple):
    """The link to the host now, and the best that card and slot can make together.

    An idle card lets its link fall to the first generation: only a busy one says something.
    """

    generation: int | None = None
    width: int | None = None
    generation_max: int | None = None
    width_max: int | None = None


class Mig(StrEnum):
    """What a device is to NVIDIA's multi-instance partitioning."""

    OFF = "off"
    PARENT = "parent"
    """Cut into instances; nothing runs on the whole of it."""
    INSTANCE = "instance"


class GpuSnapshot(NamedTuple):
    """One GPU at one moment; every reading that the driver does not give is None.

    Attributes:
        number: NVML's index.
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
        memory_reserved_bytes: kept by the driver and the firmware: part of ``memory_used_bytes``
            that no process can ever have.
        energy_joules: drawn since the driver was loaded; the difference of two snapshots is exact
            where the product of power and time is not.
        processes: who holds memory here, largest first; None when nobody can tell.
        cuda: newest CUDA version that the driver runs (``12.8``).
        clocks: now and at most.
        pcie: the link to the host.
        throttled_by: why the clocks are held down now, in words; empty when nothing does.
        mig: whether it is cut into instances, or is one.
        persistent: the driver keeps it ready while no program holds it; None where it does not say.
        uuid: NVIDIA's name of the device or instance; empty where there is none.
    """

    number: int
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
    memory_reserved_bytes: int | None = None
    energy_joules: float | None = None
    processes: tuple[GpuProcess, ...] | None = None
    cuda: str | None = None
    clocks: GpuClocks | None = None
    pcie: PcieLink | None = None
    throttled_by: tuple[str, ...] | None = None
    mig: Mig = Mig.OFF
    persistent: bool | None = None
    uuid: str = ""


class HostSnapshot(NamedTuple):
    """The host at one moment.

    Attributes:
        name: the machine's name, cleaned.
        cpu_name: product name, cleaned; empty when unknown.
        cpu_cores: logical cores this process may use.
        cpu_percent: of all cores since the last sample; None in the first one.
        memory_total_bytes: of the machine, or the control group's limit where that is lower.
        memory_available_bytes: what can be allocated without swapping, by the same rule.
    """

    name: str
    cpu_name: str
    cpu_cores: int
    cpu_percent: float | None = None
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None


class HardwareSnapshot(NamedTuple):
    """GPUs and host together.

    Attributes:
        gpus: empty on a machine without an NVIDIA driver, which is a normal state.
        host: the host.
        gpu_note: one sentence saying why there is no GPU, or which one does not answer; empty
            when all is well.
        visible: numbers of the GPUs that the environment shows to engines, in their order; None
            where it hides none.
    """

    gpus: tuple[GpuSnapshot, ...]
    host: HostSnapshot
    gpu_note: str = ""
    visible: tuple[int, ...] | None = None

    @property
    def runners(self) -> tuple[GpuSnapshot, ...]:
        """The GPUs that engines can run on, in their order.

        A card that is cut up runs on its instances; what the environment hides is none.
        """
        shown = self.gpus
        if self.visible is not None:
            by_number = {gpu.number: gpu for gpu in self.gpus}
            shown = tuple(by_number[number] for number in self.visible if number in by_number)
        return tuple(gpu for gpu in shown if gpu.mig is not Mig.PARENT)

    @property
    def why_none(self) -> str:
        """Why no GPU of this machine can be judged for, in words; empty where one can."""
        if self.main_gpu is not None:
            return ""
        if not self.gpus:
            return "there is no GPU here"
        return (
            "no GPU here tells its memory" if self.runners else "all GPUs are hidden from engines"
        )

    @property
    def main_gpu(self) -> GpuSnapshot | None:
        """The GPU that models are judged for: that with most free memory, of those that tell."""
        known = [
            gpu
            for gpu in self.runners
            if gpu.memory_total_bytes is not None and gpu.memory_free_bytes is not None
        ]
        return max(known, key=lambda gpu: gpu.memory_free_bytes or 0, default=None)
