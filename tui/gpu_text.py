"""The machine's cards and who holds their memory, as ``modeldeck gpu`` prints them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from modeldeck.engines.hardware.types import (
    GpuSnapshot,
    HardwareSnapshot,
    Mig,
    PcieLink,
)
from modeldeck.engines.units import GIB, MIB

NOT_KNOWN: Final = "n/a"
_BUSY_PERCENT: Final = 20
_MIG: Final = {Mig.PARENT: "cut into MIG instances", Mig.INSTANCE: "MIG instance"}


def machine_lines(snapshot: HardwareSnapshot) -> Iterator[str]:
    """The host, then each card in a few lines, its processes last, the largest first."""
    host = snapshot.host
    yield f"{host.name}: {host.cpu_name}, {host.cpu_cores} cores"
    if host.memory_total_bytes is not None and host.memory_available_bytes is not None:
        available, total = host.memory_available_bytes / GIB, host.memory_total_bytes / GIB
        yield f"  memory {available:.1f} of {total:.1f} GiB available"
    if not snapshot.gpus:
        yield f"No GPU: {snapshot.gpu_note}"
    for gpu in snapshot.gpus:
        yield ""
        yield from card_lines(gpu)
        if snapshot.visible is not None and gpu.number not in snapshot.visible:
            yield _line("hidden", "from engines, by this environment")
    if snapshot.gpus and snapshot.gpu_note:
        yield snapshot.gpu_note


def card_lines(gpu: GpuSnapshot) -> Iterator[str]:
    """One card."""
    mig = f" ({_MIG[gpu.mig]})" if gpu.mig in _MIG else ""
    yield f"GPU {gpu.number}: {gpu.name}{mig}"
    yield _line("memory", _memory(gpu))
    yield _line("load", _load(gpu))
    clocks = gpu.clocks
    if clocks is not None:
        cores = _of(clocks.graphics_mhz, clocks.graphics_max_mhz)
        memory = _of(clocks.memory_mhz, clocks.memory_max_mhz)
        yield _line("clocks", f"cores {cores} MHz, memory {memory} MHz")
    if gpu.throttled_by is not None:
        yield _line("held down", "by " + ", ".join(gpu.throttled_by) if gpu.throttled_by else "no")
    if gpu.pcie is not None:
        yield _line("link", _link(gpu.pcie, gpu.utilisation_percent))
    yield _line("driver", _driver(gpu))
    if gpu.persistent is False:
        yield _line("unused", "let go by the driver: persistence mode is off")
    yield from _processes(gpu)


def _processes(gpu: GpuSnapshot) -> Iterator[str]:
    if gpu.mig is Mig.PARENT:
        yield _line("processes", "on its instances")
        return
    if not gpu.processes:
        yield _line("processes", NOT_KNOWN if gpu.processes is None else "none")
        return
    for number, process in enumerate(gpu.processes):
        used = process.used_bytes
        size = f"{NOT_KNOWN:>8}    " if used is None else f"{used / MIB:>8,.0f} MiB"
        name = process.name or "a process of another container or user"
        held = ", held by the deck" if process.deck is not None else ""
        label = "" if number else "processes"
        yield _line(label, f"{size}  {name}{held}  (pid {process.pid})")


def _line(label: str, text: str) -> str:
    return f"  {label:<10} {text}"


def _memory(gpu: GpuSnapshot) -> str:
    used, total, free = gpu.memory_used_bytes, gpu.memory_total_bytes, gpu.memory_free_bytes
    if used is None or total is None or free is None:
        return NOT_KNOWN
    return f"{used / GIB:.1f} of {total / GIB:.1f} GiB used, {free / GIB:.1f} free"


def _load(gpu: GpuSnapshot) -> str:
    if gpu.utilisation_percent is gpu.temperature_celsius is gpu.power_watts is None:
        return NOT_KNOWN
    use = NOT_KNOWN if gpu.utilisation_percent is None else f"{gpu.utilisation_percent} %"
    heat = NOT_KNOWN if gpu.temperature_celsius is None else f"{gpu.temperature_celsius} °C"
    power = NOT_KNOWN if gpu.power_watts is None else f"{gpu.power_watts:.0f} W"
    if gpu.power_watts is not None and gpu.power_limit_watts is not None:
        power += f" of {gpu.power_limit_watts:.0f} W"
    return f"use {use}, {heat}, {power}"


def _link(link: PcieLink, use_percent: int | None) -> str:
    now, best = link.generation, link.generation_max
    text = f"PCIe {_known(now)} x{_known(link.width)}"
    text += f" of PCIe {_known(best)} x{_known(link.width_max)}"
    idle = use_percent is not None and use_percent < _BUSY_PERCENT
    fallen = now is not None and best is not None and now < best
    return f"{text}, which an idle card lets fall" if idle and fallen else text


def _driver(gpu: GpuSnapshot) -> str:
    words = gpu.driver or NOT_KNOWN
    if gpu.cuda:
        words += f", CUDA {gpu.cuda} at most"
    if gpu.compute_capability:
        words += ", compute capability {}.{}".format(*gpu.compute_capability)
    return words


def _of(now: int | None, most: int | None) -> str:
    return f"{_known(now)} of {_known(most)}"


def _known(number: int | None) -> str:
    return NOT_KNOWN if number is None else str(number)
