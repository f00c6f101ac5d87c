"""GPU readings, each asked no more often than it can change."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from modeldeck.engines.hardware.nvml import Nvml, NvmlError, NvmlFault
from modeldeck.engines.hardware.processes import Identity, identify
from modeldeck.engines.hardware.throttle import throttle_words
from modeldeck.engines.hardware.types import GpuProcess, GpuSnapshot, Mig
from modeldeck.engines.text import clean_line

_T = TypeVar("_T")

_SECOND: Final = 1_000_000_000
_ONCE: Final = sys.maxsize
_UNSUPPORTED_AGAIN: Final = 60 * _SECOND
_FAILED_AGAIN: Final = 5 * _SECOND

# After one of these nothing else can be asked: the session is over, or the device is.
_FATAL: Final = frozenset(
    {
        NvmlFault.DEVICE_LOST,
        NvmlFault.NO_LIBRARY,
        NvmlFault.NO_DRIVER,
        NvmlFault.MISMATCH,
        NvmlFault.NOT_STARTED,
    }
)


class Field(Generic[_T]):
    """One reading with its time to live.

    A device that does not support the reading is not asked again for a minute, and one that
    failed not for five seconds; meanwhile the reading is None, never an old value.
    """

    __slots__ = ("_due_ns", "_question", "_ttl_ns", "_value")

    def __init__(self, question: Callable[[], _T], ttl_ns: int) -> None:
        self._question = question
        self._ttl_ns = ttl_ns
        self._due_ns: int | None = None
        self._value: _T | None = None

    def read(self, now_ns: int) -> _T | None:
        """The reading, at most its time to live old.

        Raises:
            NvmlError: the device or the session is gone.
        """
        if self._due_ns is not None and now_ns < self._due_ns:
            return self._value
        try:
            self._value = self._question()
            self._due_ns = now_ns + self._ttl_ns
        except NvmlError as fault:
            if fault.kind in _FATAL:
                raise
            self._value = None
            lasting = fault.kind in (NvmlFault.UNSUPPORTED, NvmlFault.NO_PERMISSION)
            self._due_ns = now_ns + (_UNSUPPORTED_AGAIN if lasting else _FAILED_AGAIN)
        return self._value


class GpuReader:
    """One device's fields; lives as long as the NVML session it was found in."""

    def __init__(self, nvml: Nvml, index: int) -> None:
        self.index = index
        self._nvml = nvml
        self._known: dict[int, Identity] = {}
        self._name = Field(lambda: clean_line(nvml.name(index), 80), _ONCE)
        self._uuid = Field(lambda: clean_line(nvml.uuid(index), 80), _ONCE)
        self._driver = Field(lambda: clean_line(nvml.driver_version(), 40), _ONCE)
        self._capability = Field(lambda: nvml.compute_capability(index), _ONCE)
        self._memory = Field(lambda: nvml.memory(index), 0)
        self._utilisation = Field(lambda: nvml.utilisation_percent(index), 0)
        self._energy = Field(lambda: nvml.energy_joules(index), 0)
        self._temperature = Field(lambda: nvml.temperature_celsius(index), _SECOND)
        self._power = Field(lambda: nvml.power_watts(index), _SECOND)
        self._power_limit = Field(lambda: nvml.power_limit_watts(index), 30 * _SECOND)
        self._processes = Field(self._ask_processes, 2 * _SECOND)
        self._cuda = Field(lambda: ".".join(map(str, nvml.cuda_version())), _ONCE)
        self._clocks = Field(lambda: nvml.clocks(index), _SECOND)
        self._pcie = Field(lambda: nvml.pcie(index), 2 * _SECOND)
        self._throttle = Field(lambda: throttle_words(nvml.throttle_bits(index)), _SECOND)
        self._persistent = Field(lambda: nvml.is_persistent(index), 30 * _SECOND)
        self._mig = Field(lambda: nvml.mig(index), _ONCE)

    def read(self, now_ns: int) -> GpuSnapshot:
        """The device now. Raises ``NvmlError`` when it, or the session, is gone."""
        memory = self._memory.read(now_ns)
        return GpuSnapshot(
            number=self.index,
            name=self._name.read(now_ns) or f"GPU {self.index}",
            memory_total_bytes=memory.total_bytes if memory else None,
            memory_used_bytes=memory.total_bytes - memory.free_bytes if memory else None,
            memory_free_bytes=memory.free_bytes if memory else None,
            memory_reserved_bytes=memory.reserved_bytes if memory else None,
            utilisation_percent=self._utilisation.read(now_ns),
            temperature_celsius=self._temperature.read(now_ns),
            power_watts=self._power.read(now_ns),
            power_limit_watts=self._power_limit.read(now_ns),
            energy_joules=self._energy.read(now_ns),
            driver=self._driver.read(now_ns),
            compute_capability=self._capability.read(now_ns),
            processes=self._processes.read(now_ns),
            cuda=self._cuda.read(now_ns),
            clocks=self._clocks.read(now_ns),
            pcie=self._pcie.read(now_ns),
            throttled_by=self._throttle.read(now_ns),
            mig=self._mig.read(now_ns) or Mig.OFF,
            persistent=self._persistent.read(now_ns),
            uuid=self._uuid.read(now_ns) or "",
        )

    def _ask_processes(self) -> tuple[GpuProcess, ...]:
        # A process that computes and draws is listed twice, with the same total.
        used: dict[int, int | None] = {}
        for pid, used_bytes in self._nvml.processes(self.index):
            known = used.get(pid)
            used[pid] = used_bytes if known is None else max(known, used_bytes or 0)
        self._known = {pid: self._identity(pid) for pid in used}
        found = (GpuProcess(pid, who.name, used[pid], who.deck) for pid, who in self._known.items())
        return tuple(sorted(found, key=lambda process: (-(process.used_bytes or 0), process.pid)))

    def _identity(self, pid: int) -> Identity:
        known = self._known.get(pid)
        if known is not None:
            return known
        try:
            said = self._nvml.process_name(pid)
        except NvmlError:
            return Identity("")
        return identify(pid, said)
