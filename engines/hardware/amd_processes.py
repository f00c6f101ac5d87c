"""Who holds memory of an AMD card, as the kernel tells of it.

Two sources: what each open file of the card says of its client (``fdinfo``; kernel,
``Documentation/gpu/drm-usage-stats``), which only its owner and root may read, and ROCm's own
processes (``/sys/class/kfd/kfd/proc/PID/vram_GPU``). A process in both is the same memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from modeldeck.engines.hardware.processes import Identity, identify
from modeldeck.engines.hardware.types import GpuProcess

_AGAIN_NS: Final = 10_000_000_000
_LONGEST: Final = 1 << 14
_UNITS: Final = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
# The newer name first: what lies in the card's memory now, by region.
_MEMORY: Final = ("drm-resident-vram", "drm-memory-vram", "drm-resident-vram0")


class AmdProcesses:
    """Processes by the PCI address of their card, looked for every ten seconds at most.

    Args:
        root: where ``proc`` and ``sys`` lie.
        clock_ns: a monotonic clock.
    """

    def __init__(
        self, root: Path = Path("/"), clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._root = root
        self._clock_ns = clock_ns
        self._due_ns: int | None = None
        self._found: Mapping[str, tuple[GpuProcess, ...]] = {}
        self._known: dict[int, Identity] = {}

    def of(self, address: str) -> tuple[GpuProcess, ...]:
        """Who holds memory of the card at ``address`` (``0000:03:00.0``), the largest first."""
        now_ns = self._clock_ns()
        if self._due_ns is None or now_ns >= self._due_ns:
            self._due_ns = now_ns + _AGAIN_NS
            self._found = self._look()
        return self._found.get(address, ())

    def _look(self) -> Mapping[str, tuple[GpuProcess, ...]]:
        held: dict[tuple[str, int], int] = {}
        for address, pid, used in (*self._clients(), *self._rocm()):
            held[address, pid] = max(used, held.get((address, pid), 0))
        proc = self._root / "proc"
        pids = {pid for _, pid in held}
        self._known = {pid: self._known.get(pid) or identify(pid, None, proc) for pid in pids}
        found: dict[str, list[GpuProcess]] = {}
        for (address, pid), used in held.items():
            who = self._known[pid]
            found.setdefault(address, []).append(GpuProcess(pid, who.name, used, who.deck))
        return {
            address: tuple(sorted(processes, key=lambda one: (-(one.used_bytes or 0), one.pid)))
            for address, processes in found.items()
        }

    def _clients(self) -> Iterator[tuple[str, int, int]]:
        """Address, process and bytes; a client that has several files counts once."""
        for process in _listed(self._root / "proc"):
            if not process.name.isdecimal():
                continue
            clients: dict[tuple[str, str], int] = {}
            for file in _listed(process / "fd"):
                if _target(file).startswith("/dev/dri/"):
                    said = _pairs(process / "fdinfo" / file.name)
                    client = said.get("drm-pdev", ""), said.get("drm-client-id", "")
                    if all(client):
                        clients[client] = _memory(said)
            for address in {address for address, _ in clients}:
                used = sum(size for (at, _), size in clients.items() if at == address)
                if used:
                    yield address, int(process.name), used

    def _rocm(self) -> Iterator[tuple[str, int, int]]:
        kfd = self._root / "sys/class/kfd/kfd"
        addresses: dict[str, str] = {}
        for node in _listed(kfd / "topology/nodes"):
            lines = (line.split() for line in _text(node / "properties").splitlines())
            said = {words[0]: words[1] for words in lines if len(words) == 2}
            number = _text(node / "gpu_id").strip()
            if number not in ("", "0") and said.get("location_id", "").isdecimal():
                domain = said.get("domain", "0")
                addresses[number] = _address(
                    int(said["location_id"]), int(domain) if domain.isdecimal() else 0
                )
        for process in _listed(kfd / "proc"):
            for number, address in addresses.items():
                used = _text(process / f"vram_{number}").strip()
                if process.name.isdecimal() and used.isdecimal() and int(used):
                    yield address, int(process.name), int(used)


def _address(location: int, domain: int) -> str:
    """A PCI address out of bus, device and function in one number."""
    return f"{domain:04x}:{location >> 8 & 0xFF:02x}:{location >> 3 & 0x1F:02x}.{location & 7:x}"


def _memory(said: Mapping[str, str]) -> int:
    for key in _MEMORY:
        number, _, unit = said.get(key, "").partition(" ")
        if number.isdecimal() and len(number) < 20 and unit in _UNITS:
            return int(number) * _UNITS[unit]
    return 0


def _pairs(path: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in _text(path).splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST).decode("utf-8", "replace")
    except OSError:
        return ""


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""
