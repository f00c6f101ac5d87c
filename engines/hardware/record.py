"""What is known of the machine with the stable keys of ``gpu --json``."""

from __future__ import annotations

from modeldeck.engines.hardware.types import GpuSnapshot, HardwareSnapshot


def hardware_record(snapshot: HardwareSnapshot) -> dict[str, object]:
    """A snapshot for JSON."""
    gpus = [gpu_record(gpu) for gpu in snapshot.gpus]
    return {**snapshot._asdict(), "gpus": gpus, "host": snapshot.host._asdict()}


def gpu_record(gpu: GpuSnapshot) -> dict[str, object]:
    """One card for JSON; its number is NVML's ``index``."""
    fields, held = gpu._asdict(), gpu.processes
    return {
        "index": fields.pop("number"),
        **fields,
        "processes": held and [process._asdict() for process in held],
        "clocks": gpu.clocks._asdict() if gpu.clocks else None,
        "pcie": gpu.pcie._asdict() if gpu.pcie else None,
    }
