"""The wrapper around pynvml, driven with the package's own error classes."""

# ruff: noqa: N802, N815

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from modeldeck.engines.hardware.nvml import NvmlError, NvmlFault, NvmlMemory
from modeldeck.engines.hardware.pynvml_details import Handle
from modeldeck.engines.hardware.pynvml_driver import PyNvml, PynvmlModule, load_pynvml
from modeldeck.engines.hardware.types import GpuClocks, Mig, PcieLink


@dataclass
class MemoryStruct:
    total: int = 12288
    free: int = 11000
    reserved: int = 382


@dataclass
class UtilisationStruct:
    gpu: int = 55


@dataclass
class ProcessStruct:
    pid: int
    usedGpuMemory: int | None


class Module:
    """The functions of pynvml that are used, with its real error class and scripted failures."""

    NVML_TEMPERATURE_GPU: int = 0

    def __init__(self, failing: dict[str, int] | None = None) -> None:
        self.NVMLError = load_pynvml().NVMLError
        self.failing = failing or {}
        self.opened: list[int] = []
        self.cut_up: set[object] = set()

    def _maybe_fail(self, call: str) -> None:
        if call in self.failing:
            raise self.NVMLError(self.failing[call])

    def nvmlInit(self) -> None:
        self._maybe_fail("init")

    def nvmlShutdown(self) -> None:
        self._maybe_fail("shutdown")

    def nvmlSystemGetDriverVersion(self) -> str:
        return "595.71"

    def nvmlSystemGetProcessName(self, pid: int) -> str | bytes:
        return f"/usr/bin/p{pid}\xff".encode("latin-1")

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Handle:
        self.opened.append(index)
        return index

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:
        return 12080

    def nvmlDeviceGetClockInfo(self, handle: Handle, kind: int) -> int:
        self._maybe_fail(f"clock{kind}")
        return {0: 1777, 2: 7301}[kind]

    def nvmlDeviceGetMaxClockInfo(self, handle: Handle, kind: int) -> int:
        return {0: 2100, 2: 7501}[kind]

    def nvmlDeviceGetCurrPcieLinkGeneration(self, handle: Handle) -> int:
        return 1

    def nvmlDeviceGetCurrPcieLinkWidth(self, handle: Handle) -> int:
        return 8

    def nvmlDeviceGetMaxPcieLinkGeneration(self, handle: Handle) -> int:
        return 4

    def nvmlDeviceGetMaxPcieLinkWidth(self, handle: Handle) -> int:
        self._maybe_fail("width")
        return 16

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Handle) -> int:
        return 0x24

    def nvmlDeviceGetPersistenceMode(self, handle: Handle) -> int:
        self._maybe_fail("persistence")
        return 1

    def nvmlDeviceGetMigMode(self, handle: Handle) -> tuple[int, int]:
        if handle not in self.cut_up:
            raise self.NVMLError(3)
        return (1, 1)

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Handle) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Handle, index: int) -> Handle:
        if index not in (0, 2):
            raise self.NVMLError(6)
        return f"instance {index} of {handle}"

    def nvmlDeviceGetName(self, handle: Handle) -> str | bytes:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    def nvmlDeviceGetUUID(self, handle: Handle) -> str | bytes:
        return f"GPU-{handle}".encode()

    def nvmlDeviceGetCudaComputeCapability(self, handle: Handle) -> tuple[int, int]:
        return (8, 6)

    def nvmlDeviceGetMemoryInfo(self, handle: Handle, version: int | None = None) -> MemoryStruct:
        self._maybe_fail("memory_v2" if version else "memory")
        return MemoryStruct()

    def nvmlDeviceGetUtilizationRates(self, handle: Handle) -> UtilisationStruct:
        self._maybe_fail("utilisation")
        return UtilisationStruct()

    def nvmlDeviceGetTemperature(self, handle: Handle, sensor: int) -> int:
        return 41

    def nvmlDeviceGetPowerUsage(self, handle: Handle) -> int:
        return 168_500

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Handle) -> int:
        return 170_000

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Handle) -> int:
        return 2_500

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Handle) -> Sequence[ProcessStruct]:
        return [ProcessStruct(1, 100), ProcessStruct(2, None)]

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: Handle) -> Sequence[ProcessStruct]:
        return [ProcessStruct(1, 100)]


def nvml_of(module: PynvmlModule) -> PyNvml:
    return PyNvml(lambda: module)


def fault_of(call: Callable[[], object]) -> NvmlFault:
    with pytest.raises(NvmlError) as caught:
        call()
    return caught.value.kind


def test_readings_come_in_the_units_their_names_say() -> None:
    module = Module()
    nvml = nvml_of(module)
    nvml.start()
    assert nvml.device_count() == 2
    assert nvml.memory(1) == NvmlMemory(12288, 11000, 382)
    assert nvml.power_watts(1) == 168.5
    assert nvml.power_limit_watts(1) == 170.0
    assert nvml.energy_joules(1) == 2.5
    assert nvml.utilisation_percent(1) == 55
    assert nvml.temperature_celsius(1) == 41
    assert nvml.compute_capability(1) == (8, 6)
    assert nvml.processes(1) == ((1, 100), (2, None), (1, 100))
    assert nvml.process_name(3) == "/usr/bin/p3\ufffd"
    assert module.opened == [0, 1]


def test_a_driver_from_before_510_gives_memory_without_the_reserve() -> None:
    nvml = nvml_of(Module({"memory_v2": 13}))
    assert nvml.memory(0) == NvmlMemory(12288, 11000, None)


def test_a_memory_reading_that_merely_failed_is_a_failure() -> None:
    assert fault_of(lambda: nvml_of(Module({"memory_v2": 999})).memory(0)) is NvmlFault.FAILED


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, NvmlFault.NOT_STARTED),
        (3, NvmlFault.UNSUPPORTED),
        (4, NvmlFault.NO_PERMISSION),
        (9, NvmlFault.NO_DRIVER),
        (12, NvmlFault.NO_LIBRARY),
        (15, NvmlFault.DEVICE_LOST),
        (18, NvmlFault.MISMATCH),
        (10, NvmlFault.FAILED),
        (999, NvmlFault.FAILED),
    ],
)
def test_each_error_code_is_told_by_what_it_means(code: int, kind: NvmlFault) -> None:
    assert fault_of(nvml_of(Module({"init": code})).start) is kind
    assert fault_of(lambda: nvml_of(Module({"utilisation": code})).utilisation_percent(0)) is kind


def test_a_name_that_cannot_be_decoded_is_a_reading_that_is_not_there() -> None:
    assert fault_of(lambda: nvml_of(Module()).name(0)) is NvmlFault.UNSUPPORTED


def test_a_missing_package_is_a_missing_driver() -> None:
    def no_package() -> PynvmlModule:
        raise ImportError("No module named 'pynvml'")

    assert fault_of(PyNvml(no_package).start) is NvmlFault.NO_LIBRARY


def test_the_module_of_the_installed_package_has_every_function_we_call() -> None:
    module = load_pynvml()
    used = [name for name in vars(PynvmlModule) if name.startswith("nvml")]
    assert len(used) > 10
    assert [name for name in used if not callable(getattr(module, name, None))] == []


def test_the_memory_request_has_the_version_the_package_expects() -> None:
    module = Module()
    versions: list[int | None] = []

    def record(handle: Handle, version: int | None = None) -> MemoryStruct:
        versions.append(version)
        return MemoryStruct()

    module.nvmlDeviceGetMemoryInfo = record  # type: ignore[method-assign]
    nvml_of(module).memory(0)
    assert versions == [getattr(load_pynvml(), "nvmlMemory_v2")]  # noqa: B009


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, modeldeck.engines.hardware.monitor as m; m.HardwareMonitor();"
        "print([n for n in ('pynvml', 'psutil', 'textual', 'rich') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_clocks_and_link_tell_what_is_known_of_them() -> None:
    nvml = nvml_of(Module({"clock2": 3, "width": 3}))
    nvml.start()
    assert nvml.cuda_version() == (12, 8)
    assert nvml.clocks(0) == GpuClocks(1777, 2100, None, 7501)
    assert nvml.pcie(0) == PcieLink(1, 8, 4, None)
    assert nvml.throttle_bits(0) == 0x24
    assert nvml.is_persistent(0)


def test_the_instances_of_a_card_that_is_cut_up_are_cards_of_their_own() -> None:
    module = Module()
    module.cut_up.add(1)
    nvml = nvml_of(module)
    nvml.start()
    assert nvml.device_count() == 4
    assert [nvml.mig(index) for index in range(4)] == [
        *(Mig.OFF, Mig.PARENT, Mig.INSTANCE, Mig.INSTANCE)
    ]
