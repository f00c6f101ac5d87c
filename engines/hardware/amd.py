"""AMD cards as the kernel tells of them in sysfs; no library is needed.

Files: ``Documentation/gpu/amdgpu`` of the Linux kernel (``mem_info_vram_total``,
``gpu_busy_percent``, ``pp_dpm_sclk``, the hwmon of the card).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from modeldeck.engines.hardware.types import GpuClocks, GpuProcess, GpuSnapshot, PcieLink
from modeldeck.engines.text import clean_line

_VENDOR: Final = "0x1002"
_LONGEST: Final = 4096
_GENERATIONS: Final = {"2.5": 1, "5.0": 2, "8.0": 3, "16.0": 4, "32.0": 5, "64.0": 6}

Holders = Callable[[str], tuple[GpuProcess, ...]]


def amd_gpus(
    root: Path = Path("/"), first_index: int = 0, holders: Holders | None = None
) -> tuple[GpuSnapshot, ...]:
    """Every AMD card with memory of its own; what a card does not tell is None.

    Args:
        root: where ``sys`` lies.
        first_index: the number of the first.
        holders: who holds memory of the card at a PCI address; None to leave that out.
    """
    found: list[GpuSnapshot] = []
    for device in _devices(root / "sys/class/drm"):
        total = _number(device / "mem_info_vram_total")
        if total:
            gpu = _snapshot(device, first_index + len(found), total)
            if holders is not None:
                # What others than root see is not all: that nobody is seen says nothing.
                gpu = gpu._replace(processes=holders(device.resolve().name) or None)
            found.append(gpu)
    return tuple(found)


def _devices(folder: Path) -> Iterator[Path]:
    try:
        cards = sorted(folder.glob("card[0-9]*"))
    except OSError:
        return
    for card in cards:
        if "-" not in card.name and _text(card / "device/vendor") == _VENDOR:
            yield card / "device"


def _snapshot(device: Path, index: int, total: int) -> GpuSnapshot:
    used = _number(device / "mem_info_vram_used")
    hwmon = next(iter(sorted((device / "hwmon").glob("hwmon*"))), device / "hwmon")
    temperature = _number(hwmon / "temp1_input")
    power = _number(hwmon / "power1_average") or _number(hwmon / "power1_input")
    limit = _number(hwmon / "power1_cap")
    return GpuSnapshot(
        number=index,
        name=_name(device),
        memory_total_bytes=total,
        memory_used_bytes=used,
        memory_free_bytes=None if used is None else max(0, total - used),
        utilisation_percent=_number(device / "gpu_busy_percent"),
        temperature_celsius=None if temperature is None else temperature // 1000,
        power_watts=None if power is None else power / 1e6,
        power_limit_watts=None if limit is None else limit / 1e6,
        driver="amdgpu",
        clocks=GpuClocks(
            *_clock(_text(device / "pp_dpm_sclk")), *_clock(_text(device / "pp_dpm_mclk"))
        ),
        pcie=PcieLink(
            _generation(_text(device / "current_link_speed")),
            _number(device / "current_link_width"),
            _generation(_text(device / "max_link_speed")),
            _number(device / "max_link_width"),
        ),
    )


def _name(device: Path) -> str:
    name = clean_line(_text(device / "product_name"), 80)
    return name or f"AMD GPU {clean_line(_text(device / 'device'), 12)}".strip()


def _clock(table: str) -> tuple[int | None, int | None]:
    """Now and at most, out of lines like ``1: 2100Mhz *``."""
    now = most = None
    for line in table.splitlines():
        digits = "".join(
            c for c in line.partition(":")[2].lower().partition("mhz")[0] if c.isdigit()
        )
        if digits:
            most = max(most or 0, int(digits[:6]))
            if line.rstrip().endswith("*"):
                now = int(digits[:6])
    return now, most


def _generation(speed: str) -> int | None:
    return _GENERATIONS.get(speed.partition(" ")[0])


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdecimal() and len(text) < 20 else None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST).decode("utf-8", "replace").strip()
    except OSError:
        return ""
