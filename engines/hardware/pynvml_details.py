"""What the driver says of a card beyond memory and use: clocks, link, throttling, instances."""

# ruff: noqa: D102, N802

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, TypeVar

from modeldeck.engines.hardware.types import GpuClocks, PcieLink

_T = TypeVar("_T")


class Handle(Protocol):
    """A device handle: passed back, never looked into."""


class DetailsModule(Protocol):
    """The part of the module ``pynvml`` that is used here. Names are its own."""

    NVMLError: type[Exception]

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int: ...
    def nvmlDeviceGetClockInfo(self, handle: Handle, kind: int) -> int: ...
    def nvmlDeviceGetMaxClockInfo(self, handle: Handle, kind: int) -> int: ...
    def nvmlDeviceGetCurrPcieLinkGeneration(self, handle: Handle) -> int: ...
    def nvmlDeviceGetCurrPcieLinkWidth(self, handle: Handle) -> int: ...
    def nvmlDeviceGetMaxPcieLinkGeneration(self, handle: Handle) -> int: ...
    def nvmlDeviceGetMaxPcieLinkWidth(self, handle: Handle) -> int: ...
    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Handle) -> int: ...
    def nvmlDeviceGetPersistenceMode(self, handle: Handle) -> int: ...
    def nvmlDeviceGetMigMode(self, handle: Handle) -> tuple[int, int]: ...
    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Handle) -> int: ...
    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Handle, index: int) -> Handle: ...


# nvml.h, nvmlClockType_t
_GRAPHICS: Final = 0
_MEMORY: Final = 2


def cuda_version(module: DetailsModule) -> tuple[int, int]:
    """``(12, 8)`` for NVML's 12080."""
    number = module.nvmlSystemGetCudaDriverVersion_v2()
    return number // 1000, number % 1000 // 10


def clocks(module: DetailsModule, device: Handle) -> GpuClocks:
    """Each clock by itself: a device may know one and not the other."""
    now, most = module.nvmlDeviceGetClockInfo, module.nvmlDeviceGetMaxClockInfo
    return GpuClocks(
        _maybe(module, lambda: now(device, _GRAPHICS)),
        _maybe(module, lambda: most(device, _GRAPHICS)),
        _maybe(module, lambda: now(device, _MEMORY)),
        _maybe(module, lambda: most(device, _MEMORY)),
    )


def pcie(module: DetailsModule, device: Handle) -> PcieLink:
    """The link now and at its best."""
    return PcieLink(
        _maybe(module, lambda: module.nvmlDeviceGetCurrPcieLinkGeneration(device)),
        _maybe(module, lambda: module.nvmlDeviceGetCurrPcieLinkWidth(device)),
        _maybe(module, lambda: module.nvmlDeviceGetMaxPcieLinkGeneration(device)),
        _maybe(module, lambda: module.nvmlDeviceGetMaxPcieLinkWidth(device)),
    )


def instances(module: DetailsModule, device: Handle) -> tuple[Handle, ...] | None:
    """The MIG instances of a device that is cut up; None for one that is whole."""
    mode = _maybe(module, lambda: module.nvmlDeviceGetMigMode(device))
    if mode is None or not mode[0]:
        return None
    most = _maybe(module, lambda: module.nvmlDeviceGetMaxMigDeviceCount(device)) or 0
    found = (
        _maybe(module, partial(module.nvmlDeviceGetMigDeviceHandleByIndex, device, at))
        for at in range(most)
    )
    return tuple(handle for handle in found if handle is not None)


def _maybe(module: DetailsModule, question: Callable[[], _T]) -> _T | None:
    try:
        return question()
    except module.NVMLError:
        return None
