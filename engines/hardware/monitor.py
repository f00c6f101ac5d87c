"""The monitor: one call, one frozen snapshot of the whole machine."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol

from modeldeck.engines.hardware.host import HostReader
from modeldeck.engines.hardware.nvml import Nvml, NvmlError, NvmlFault, driver_may_be_here
from modeldeck.engines.hardware.types import (
    GpuProcess,
    GpuSnapshot,
    HardwareSnapshot,
    HostSnapshot,
)
from modeldeck.engines.hardware.visible import visible
from modeldeck.engines.text import clean_line

if TYPE_CHECKING:
    from modeldeck.engines.hardware.amd_processes import AmdProcesses
    from modeldeck.engines.hardware.gpus import GpuReader

# The readers of cards are imported where such a card may be: 5 ms that `ls` does without.

_SECOND: Final = 1_000_000_000
_FIRST_WAIT: Final = 2 * _SECOND
_LONGEST_WAIT: Final = 60 * _SECOND

_NOTES: Final = {
    NvmlFault.NO_LIBRARY: "No NVIDIA driver is installed.",
    NvmlFault.NO_DRIVER: "NVIDIA's library is installed, but the driver is not loaded.",
    NvmlFault.NO_PERMISSION: "The NVIDIA driver lets this user see no GPU.",
    NvmlFault.MISMATCH: "The NVIDIA driver was updated and waits for a restart of the machine.",
    NvmlFault.NOT_STARTED: "The NVIDIA driver stopped answering.",
    NvmlFault.DEVICE_LOST: "The NVIDIA GPU stopped answering.",
}


class _Host(Protocol):
    def read(self) -> HostSnapshot: ...


Others = Callable[[HostSnapshot, int], tuple[GpuSnapshot, ...]]


class OtherGpus:
    """AMD's cards on Linux, an Apple chip on a Mac; neither costs anything where it is not."""

    def __init__(self, platform: str = sys.platform) -> None:
        self._platform = platform
        self._amd_processes: AmdProcesses | None = None

    def __call__(self, host: HostSnapshot, first_index: int) -> tuple[GpuSnapshot, ...]:
        """The cards now, the first of them numbered ``first_index``."""
        if self._platform == "linux":
            from modeldeck.engines.hardware.amd import amd_gpus

            return amd_gpus(first_index=first_index, holders=self._holders)
        if self._platform != "darwin":
            return ()
        from modeldeck.engines.hardware.apple import apple_gpu, is_apple_chip

        return (apple_gpu(host, first_index),) if is_apple_chip(self._platform) else ()

    def _holders(self, address: str) -> tuple[GpuProcess, ...]:
        from modeldeck.engines.hardware.amd_processes import AmdProcesses

        self._amd_processes = self._amd_processes or AmdProcesses()
        return self._amd_processes.of(address)


class HardwareMonitor:
    """Reads GPUs and host; made to be called in a thread, up to four times a second.

    A machine without a driver is a normal state: the snapshot then has no GPUs and a note. A
    driver that goes away or comes later is looked for again, after 2 s first and 60 s at most.

    Args:
        nvml: what to ask about GPUs; by default the driver's library, loaded at the first sample.
        clock_ns: a monotonic clock.
        host: what to ask about the host.
        others: cards that are not NVIDIA's, for a host and the index of the first.
        environ: may hide cards from engines.
    """

    def __init__(
        self,
        nvml: Nvml | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        host: _Host | None = None,
        others: Others | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._nvml = nvml
        self._clock_ns = clock_ns
        self._host = host if host is not None else HostReader()
        self._others = others if others is not None else OtherGpus()
        self._environ = environ
        self._lock = Lock()
        self._gpus: tuple[GpuReader, ...] = ()
        self._session = False
        self._note = ""
        self._wait_ns = _FIRST_WAIT
        self._retry_ns: int | None = None
        self._closed = False

    def sample(self) -> HardwareSnapshot:
        """The machine now. Never raises for a GPU: what cannot be read is None or in the note."""
        with self._lock:
            host = self._host.read()
            gpus = () if self._closed else self._sample_gpus(self._clock_ns())
            others = () if self._closed else self._others(host, len(gpus))
            note = "" if others and not gpus else self._note
            found = (*gpus, *others)
            return HardwareSnapshot(found, host, note, visible(found, self._environ))

    def held_by(self, pid: int) -> dict[int, int]:
        """Bytes of each GPU, by its index, that process ``pid`` holds at this moment.

        Empty where it holds none, where the driver does not tell, and in a container whose
        processes the driver counts otherwise.
        """
        held: dict[int, int] = {}
        with self._lock:
            for gpu in () if self._closed else self._gpus:
                with contextlib.suppress(NvmlError):
                    listed = self._driver().processes(gpu.index)
                    # A process that computes and draws is listed twice, with the same total.
                    used = max((size or 0 for one, size in listed if one == pid), default=0)
                    if used:
                        held[gpu.index] = used
        return held

    def close(self) -> None:
        """End the driver session. Further samples have no GPUs."""
        with self._lock:
            self._closed = True
            self._note = "The hardware monitor is closed."
            self._end()

    def _sample_gpus(self, now_ns: int) -> tuple[GpuSnapshot, ...]:
        due = not self._session if self._retry_ns is None else now_ns >= self._retry_ns
        if due:
            self._end()
            self._start(now_ns)
        found: list[GpuSnapshot] = []
        for gpu in self._gpus:
            try:
                found.append(gpu.read(now_ns))
            except NvmlError as fault:
                self._lose(gpu, fault, now_ns)
                if not self._session:
                    return ()
        if self._session and self._retry_ns is None:
            self._wait_ns = _FIRST_WAIT
        return tuple(found)

    def _driver(self) -> Nvml:
        if self._nvml is None:
            if not driver_may_be_here():
                raise NvmlError(NvmlFault.NO_LIBRARY)
            from modeldeck.engines.hardware.pynvml_driver import PyNvml

            self._nvml = PyNvml()
        return self._nvml

    def _start(self, now_ns: int) -> None:
        try:
            nvml = self._driver()
            nvml.start()
            self._session = True
            count = nvml.device_count()
        except NvmlError as fault:
            self._end()
            self._note = _note(fault)
            self._schedule(now_ns)
            return
        from modeldeck.engines.hardware.gpus import GpuReader

        self._gpus = tuple(GpuReader(nvml, index) for index in range(count))
        self._retry_ns = None
        if count:
            self._note = ""
        else:
            self._note = "The NVIDIA driver finds no GPU."
            self._schedule(now_ns)

    def _lose(self, gpu: GpuReader, fault: NvmlError, now_ns: int) -> None:
        """Go on without one GPU, or, when the driver itself is gone, without any."""
        if fault.kind is NvmlFault.DEVICE_LOST:
            self._gpus = tuple(other for other in self._gpus if other is not gpu)
            self._note = f"GPU {gpu.index} stopped answering."
        else:
            self._end()
            self._note = _note(fault)
        if self._retry_ns is None:
            self._schedule(now_ns)

    def _schedule(self, now_ns: int) -> None:
        self._retry_ns = now_ns + self._wait_ns
        self._wait_ns = min(2 * self._wait_ns, _LONGEST_WAIT)

    def _end(self) -> None:
        self._gpus = ()
        if self._session:
            self._session = False
            try:
                self._driver().stop()
            except NvmlError:
                return


def _note(fault: NvmlError) -> str:
    known = _NOTES.get(fault.kind)
    return known or f"The NVIDIA driver does not answer: {clean_line(fault.detail, 120)}."
