"""``Nvml`` by the ``nvidia-ml-py`` package: the one place that touches the untyped ``pynvml``."""

# ruff: noqa: D102, N802, N815

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar, cast

from modeldeck.engines.hardware import pynvml_details as details
from modeldeck.engines.hardware.nvml import NvmlError, NvmlFault, NvmlMemory
from modeldeck.engines.hardware.pynvml_details import DetailsModule, Handle
from modeldeck.engines.hardware.types import GpuClocks, Mig, PcieLink

_T = TypeVar("_T")


class _Memory(Protocol):
    total: int
    free: int


class _MemoryV2(_Memory, Protocol):
    reserved: int


class _Utilisation(Protocol):
    gpu: int


class _Process(Protocol):
    pid: int
    usedGpuMemory: int | None


class PynvmlModule(DetailsModule, Protocol):
    """The part of the module ``pynvml`` that is used, typed once. Names are its own."""

    NVML_TEMPERATURE_GPU: int

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlSystemGetDriverVersion(self) -> str: ...
    def nvmlSystemGetProcessName(self, pid: int) -> str | bytes: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Handle: ...
    def nvmlDeviceGetName(self, handle: Handle) -> str | bytes: ...
    def nvmlDeviceGetUUID(self, handle: Handle) -> str | bytes: ...
    def nvmlDeviceGetCudaComputeCapability(self, handle: Handle) -> tuple[int, int]: ...
    def nvmlDeviceGetMemoryInfo(self, handle: Handle, version: int | None = None) -> _Memory: ...
    def nvmlDeviceGetUtilizationRates(self, handle: Handle) -> _Utilisation: ...
    def nvmlDeviceGetTemperature(self, handle: Handle, sensor: int) -> int: ...
    def nvmlDeviceGetPowerUsage(self, handle: Handle) -> int: ...
    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Handle) -> int: ...
    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Handle) -> int: ...
    def nvmlDeviceGetComputeRunningProcesses(self, handle: Handle) -> Sequence[_Process]: ...
    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: Handle) -> Sequence[_Process]: ...


# nvml.h, nvmlReturn_t
_KINDS: Final = {
    1: NvmlFault.NOT_STARTED,
    3: NvmlFault.UNSUPPORTED,
    4: NvmlFault.NO_PERMISSION,
    9: NvmlFault.NO_DRIVER,
    12: NvmlFault.NO_LIBRARY,
    13: NvmlFault.UNSUPPORTED,
    15: NvmlFault.DEVICE_LOST,
    16: NvmlFault.DEVICE_LOST,
    18: NvmlFault.MISMATCH,
    25: NvmlFault.UNSUPPORTED,
    28: NvmlFault.DEVICE_LOST,
}

# nvml.h: nvmlMemory_v2 = sizeof(nvmlMemory_v2_t) | 2 << 24
_MEMORY_V2: Final = 0x0200_0028


def load_pynvml() -> PynvmlModule:
    """The package `nvidia-ml-py`, typed. Raises ImportError when it is not installed."""
    # 70-90 ms and 8000 lines: only when hardware is first looked at, never at start-up.
    return cast("PynvmlModule", importlib.import_module("pynvml"))


def load_beside_driver() -> PynvmlModule:
    """``load_pynvml`` where the driver's library is. Raises ImportError where it is not."""
    if sys.platform == "linux":
        import ctypes

        try:
            ctypes.CDLL("libnvidia-ml.so.1")  # the name that pynvml loads
        except OSError as error:
            raise ImportError(str(error)) from error
    return load_pynvml()


class PyNvml:
    """``Nvml`` by the ``nvidia-ml-py`` package, imported at the first ``start``."""

    def __init__(self, load: Callable[[], PynvmlModule] = load_beside_driver) -> None:
        self._load = load
        self._module: PynvmlModule | None = None
        self._handles: dict[int, Handle] = {}
        self._mig: dict[int, Mig] = {}
        self._has_memory_v2 = True

    @contextmanager
    def _faults(self) -> Generator[PynvmlModule]:
        """The module, with every failure in the body told as ``NvmlError``."""
        if self._module is None:
            try:
                self._module = self._load()
            except ImportError as error:
                raise NvmlError(NvmlFault.NO_LIBRARY, str(error)) from error
        module = self._module
        try:
            yield module
        except module.NVMLError as error:
            code = cast("int", getattr(error, "value", 999))
            raise NvmlError(_KINDS.get(code, NvmlFault.FAILED), str(error)) from error
        except Exception as error:
            # A reading that pynvml itself cannot take: a call missing from an old library, a name
            # that is no UTF-8. Its NVMLLibraryMismatchError derives from nothing but Exception.
            raise NvmlError(NvmlFault.UNSUPPORTED, str(error)) from error

    def _device(self, module: PynvmlModule, index: int) -> Handle:
        handle = self._handles.get(index)
        if handle is None:
            handle = self._handles[index] = module.nvmlDeviceGetHandleByIndex(index)
        return handle

    def _ask(self, index: int, question: Callable[[PynvmlModule, Handle], _T]) -> _T:
        with self._faults() as module:
            return question(module, self._device(module, index))

    def start(self) -> None:
        """See ``Nvml``."""
        self._handles.clear()
        with self._faults() as module:
            module.nvmlInit()

    def stop(self) -> None:
        """See ``Nvml``."""
        self._handles.clear()
        with self._faults() as module:
            module.nvmlShutdown()

    def driver_version(self) -> str:
        """See ``Nvml``."""
        with self._faults() as module:
            return _text(module.nvmlSystemGetDriverVersion())

    def cuda_version(self) -> tuple[int, int]:
        """See ``Nvml``."""
        with self._faults() as module:
            return details.cuda_version(module)

    def device_count(self) -> int:
        """See ``Nvml``."""
        self._mig.clear()
        with self._faults() as module:
            whole = module.nvmlDeviceGetCount()
            count = whole
            for index in range(whole):
                found = details.instances(module, self._device(module, index))
                if found is None:
                    continue
                self._mig[index] = Mig.PARENT
                for handle in found:
                    self._handles[count], self._mig[count] = handle, Mig.INSTANCE
                    count += 1
            return count

    def mig(self, index: int) -> Mig:
        """See ``Nvml``."""
        return self._mig.get(index, Mig.OFF)

    def clocks(self, index: int) -> GpuClocks:
        """See ``Nvml``."""
        return self._ask(index, details.clocks)

    def pcie(self, index: int) -> PcieLink:
        """See ``Nvml``."""
        return self._ask(index, details.pcie)

    def throttle_bits(self, index: int) -> int:
        """See ``Nvml``."""
        return self._ask(
            index, lambda nv, device: nv.nvmlDeviceGetCurrentClocksThrottleReasons(device)
        )

    def is_persistent(self, index: int) -> bool:
        """See ``Nvml``."""
        return bool(self._ask(index, lambda nv, device: nv.nvmlDeviceGetPersistenceMode(device)))

    def name(self, index: int) -> str:
        """See ``Nvml``."""
        return self._ask(index, lambda nv, device: _text(nv.nvmlDeviceGetName(device)))

    def uuid(self, index: int) -> str:
        """See ``Nvml``."""
        return self._ask(index, lambda nv, device: _text(nv.nvmlDeviceGetUUID(device)))

    def compute_capability(self, index: int) -> tuple[int, int]:
        """See ``Nvml``."""
        return self._ask(index, lambda nv, device: nv.nvmlDeviceGetCudaComputeCapability(device))

    def memory(self, index: int) -> NvmlMemory:
        """See ``Nvml``."""
        if self._has_memory_v2:
            try:
                return self._ask(index, _memory_v2)
            except NvmlError as fault:
                if fault.kind is not NvmlFault.UNSUPPORTED:
                    raise
                self._has_memory_v2 = False
        return self._ask(index, _memory_v1)

    def utilisation_percent(self, index: int) -> int:
        """See ``Nvml``."""
        return self._ask(index, lambda nv, device: nv.nvmlDeviceGetUtilizationRates(device).gpu)

    def temperature_celsius(self, index: int) -> int:
        """See ``Nvml``."""
        return self._ask(
            index, lambda nv, device: nv.nvmlDeviceGetTemperature(device, nv.NVML_TEMPERATURE_GPU)
        )

    def power_watts(self, index: int) -> float:
        """See ``Nvml``."""
        return self._ask(index, lambda nv, device: nv.nvmlDeviceGetPowerUsage(device) / 1000)

    def power_limit_watts(self, index: int) -> float:
        """See ``Nvml``."""
        return self._ask(
            index, lambda nv, device: nv.nvmlDeviceGetEnforcedPowerLimit(device) / 1000
        )

    def energy_joules(self, index: int) -> float:
        """See ``Nvml``."""
        return self._ask(
            index, lambda nv, device: nv.nvmlDeviceGetTotalEnergyConsumption(device) / 1000
        )

    def processes(self, index: int) -> tuple[tuple[int, int | None], ...]:
        """See ``Nvml``."""
        return self._ask(index, _processes)

    def process_name(self, pid: int) -> str:
        """See ``Nvml``."""
        with self._faults() as module:
            return _text(module.nvmlSystemGetProcessName(pid))


def _memory_v2(module: PynvmlModule, device: Handle) -> NvmlMemory:
    reading = cast("_MemoryV2", module.nvmlDeviceGetMemoryInfo(device, _MEMORY_V2))
    return NvmlMemory(reading.total, reading.free, reading.reserved)


def _memory_v1(module: PynvmlModule, device: Handle) -> NvmlMemory:
    reading = module.nvmlDeviceGetMemoryInfo(device)
    return NvmlMemory(reading.total, reading.free)


def _processes(module: PynvmlModule, device: Handle) -> tuple[tuple[int, int | None], ...]:
    running = [
        *module.nvmlDeviceGetComputeRunningProcesses(device),
        *module.nvmlDeviceGetGraphicsRunningProcesses(device),
    ]
    return tuple((process.pid, process.usedGpuMemory) for process in running)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
