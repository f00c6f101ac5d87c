"""Cards to judge against: the one that is here, one by name, one by its memory alone."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, get_args

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.fit.types import Card, Vendor
from modeldeck.engines.hardware.types import GpuProcess, GpuSnapshot, HardwareSnapshot
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import MIB, gib_number

REFERENCE_CARD: Final = "RTX 3060 12GB"
"""The card that verdicts speak of on a machine without one."""

# What the driver keeps of an empty card: 382 MiB of 12288 and 452 of 24576 are measured, and this
# is the line through them.
_RESERVE_BYTES: Final = 312 * MIB
_RESERVE_SHARE: Final = 0.0057

# What an unnamed card without a measured sibling of its size leaves to programs.
_USABLE_SHARE: Final = 0.97

# A total may differ from the size in the name by what error correction and firmware take.
_SAME_SIZE: Final = 0.1

_NOISE_WORDS: Final = """
    nvidia geforce tesla quadro gpu graphics generation amd radeon instinct intel apple r tm
    blackwell workstation server edition maxq pcie sxm2 sxm4 sxm5 hbm2 hbm2e hbm3 hbm3e
    """
_NOISE: Final = frozenset(_NOISE_WORDS.split())
_WORD: Final = re.compile(r"[a-z]+[0-9]*[a-z]*|[0-9]+[a-z]*")
_SIZE: Final = re.compile(r"(?<![a-z0-9])(\d{1,4})\s*gi?b?\b")
_SERIES: Final = ("", "rtx", "gtx", "rx", "arc", "rtxpro", "arcpro")

# Bytes per second and lane of a PCIe generation after its line code, one way, and the share of it
# that a copy from pinned memory reaches (24 of 31.5 GB/s on 4.0 x16).
_PCIE_LANE: Final = {3: 0.985e9, 4: 1.969e9, 5: 3.938e9}
_PCIE_SHARE: Final = 0.76

_SUGGESTED: Final = 4
_LIKE: Final = 0.6
_LONGEST_KEY: Final = 60

# Decode shares of cards without a measured one; the source is in card_sources.toml.
_USUAL_DECODE: Final = (0.58, 0.70, 0.82)

# The same for other makers' cards, on whose kernels less is known.
_OTHER_DECODE: Final = (0.40, 0.58, 0.76)

# Beyond this the launches and not the memory set the pace: no usual share holds there.
_LARGEST_USUAL_BANDWIDTH: Final = 1.1e12

# Metal gives a process two thirds of small unified memories and three quarters of large ones.
_SMALL_UNIFIED_BYTES: Final = 33 * 1024 * MIB


class CardRow(NamedTuple):
    """One row of ``cards.csv``; its head says what each figure is.

    Attributes:
        compute: NVIDIA: the compute capability as text; AMD: the LLVM target; else a generation.
        fp16_flops: dense, with FP32 accumulation, per second.
        pcie_bytes_per_second: what a copy from host memory reaches; None for unified memory.
        source: a name in ``card_sources.toml``.
    """

    name: str
    key: str
    vendor: Vendor
    vram_bytes: int
    usable_bytes: int
    usable_measured: bool
    bandwidth_bytes_per_second: float
    fp16_flops: float
    compute: str
    pcie_bytes_per_second: float | None
    decode_efficiency: tuple[float, float, float] | None
    source: str

    @property
    def title(self) -> str:
        """Name and size, as ``card_named`` takes them: ``RTX 3060 12GB``."""
        return f"{self.name} {round(self.vram_bytes / (1024 * MIB))}GB"


@cache
def known_cards() -> tuple[CardRow, ...]:
    """Every card in the table, in its order. Read once, when first asked for: 4 ms."""
    return tuple(_cards())


def _cards() -> Iterator[CardRow]:
    text = Path(__file__).with_name("cards.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    for row in csv.DictReader(lines):
        for size in row["memory_mib"].split("/"):
            yield _row(row, int(size) * MIB)


def card_named(name: str, ram_bytes: int) -> Card:
    """A what-if card by its product name: ``RTX 3060 12GB``, ``rtx3090``, ``4060 ti 16gb``.

    Args:
        name: case, maker and spaces do not matter; without a size the usual one is taken.
        ram_bytes: host memory to judge with.

    Raises:
        SettingsError: no such card is in the table.
    """
    key, size_gb = _parse(name)
    keys = {series + key for series in _SERIES} if key else set[str]()
    rows = [row for row in known_cards() if row.key in keys]
    if size_gb is not None:
        rows = [row for row in rows if round(row.vram_bytes / (1024 * MIB)) == size_gb]
    if not rows:
        near = " or ".join(_near(key))
        raise SettingsError(
            f"No card is known as “{clean_line(name, 40)}”.",
            f"Name {near or 'one like RTX 3060 12GB'}, or give its memory alone, like 12GiB.",
        )
    return _card(rows[0], ram_bytes)


def _near(key: str) -> list[str]:
    """Titles of the cards whose names are most like ``key``: all sizes of the likest ones."""
    from difflib import get_close_matches  # only for what is mistyped

    by_key: dict[str, list[str]] = {}
    for row in known_cards():
        for series in _SERIES:
            if row.key.startswith(series):
                by_key.setdefault(row.key.removeprefix(series), []).append(row.title)
    likest = get_close_matches(key, by_key, _SUGGESTED, _LIKE) if len(key) <= _LONGEST_KEY else []
    titles = (title for one in likest for title in by_key[one])
    return list(dict.fromkeys(titles))[:_SUGGESTED]


def reference_card(ram_bytes: int) -> Card:
    """The what-if card of a machine without a GPU: the first of the table."""
    return _card(next(_cards()), ram_bytes)


def card_with_vram(vram_bytes: int, ram_bytes: int) -> Card:
    """A what-if card of which only the memory is known; no rate is predicted for it.

    What is usable of it is what was measured on a card of that size, else 97 %.
    """
    measured = (
        row.usable_bytes
        for row in known_cards()
        if row.usable_measured and row.vram_bytes == vram_bytes
    )
    usable = next(measured, int(vram_bytes * _USABLE_SHARE))
    return Card(f"{gib_number(vram_bytes)} GiB card", usable, usable, True, ram_bytes)


def card_of(hardware: HardwareSnapshot) -> Card:
    """What to judge against on this machine: the GPU with most free memory, else the reference."""
    ram_bytes = hardware.host.memory_available_bytes or 0
    gpu = hardware.main_gpu
    return (gpu and card_from_gpu(gpu, ram_bytes)) or reference_card(ram_bytes)


def with_freed(card: Card, processes: Iterable[GpuProcess]) -> Card:
    """The card as it will be once ``processes`` have ended."""
    freed = sum(process.used_bytes or 0 for process in processes)
    return card._replace(free_bytes=min(card.free_bytes + freed, card.usable_bytes))


def card_from_gpu(gpu: GpuSnapshot, ram_bytes: int) -> Card | None:
    """The card that is here, with what is free on it now.

    None when the driver does not tell its memory (a GPU that shares the host's, say).
    """
    total, free = gpu.memory_total_bytes, gpu.memory_free_bytes
    if total is None or free is None:
        return None
    row = _row_of(gpu.name, total)
    if gpu.memory_reserved_bytes is not None:
        usable = total - gpu.memory_reserved_bytes
    else:
        usable = row.usable_bytes if row else total - _reserve(total)
    usable = max(usable, free)
    if row is not None:
        return _card(row, ram_bytes)._replace(
            usable_bytes=usable, free_bytes=free, what_if=False, number=gpu.number
        )
    capability = gpu.compute_capability
    return Card(
        name=gpu.name,
        usable_bytes=usable,
        free_bytes=free,
        what_if=False,
        ram_bytes=ram_bytes,
        vendor="nvidia" if capability else None,
        compute=f"{capability[0]}.{capability[1]}" if capability else None,
        number=gpu.number,
    )


def _card(row: CardRow, ram_bytes: int) -> Card:
    return Card(
        name=row.title,
        usable_bytes=row.usable_bytes,
        free_bytes=row.usable_bytes,
        what_if=True,
        ram_bytes=ram_bytes,
        bandwidth_bytes_per_second=row.bandwidth_bytes_per_second,
        decode_efficiency=row.decode_efficiency,
        fp16_flops=row.fp16_flops,
        pcie_bytes_per_second=row.pcie_bytes_per_second,
        vendor=row.vendor,
        compute=row.compute,
    )


def _row_of(name: str, total_bytes: int) -> CardRow | None:
    key, _ = _parse(name)
    for row in known_cards():
        if row.key == key and abs(row.vram_bytes - total_bytes) <= _SAME_SIZE * row.vram_bytes:
            return row
    return None


def _parse(name: str) -> tuple[str, int | None]:
    """Key and size in GB of a name: ``NVIDIA GeForce RTX 3060`` and ``rtx3060`` are one key."""
    text = name.lower()
    size = _SIZE.search(text)
    if size:
        text = text[: size.start()] + " " + text[size.end() :]
    key = "".join(word for word in _WORD.findall(text) if word not in _NOISE)
    return key, int(size[1]) if size else None


def _reserve(vram_bytes: int) -> int:
    return _RESERVE_BYTES + round(_RESERVE_SHARE * vram_bytes)


def _row(row: dict[str, str], vram_bytes: int) -> CardRow:
    name, pcie, usable = row["name"], row["pcie"], row["usable_mib"]
    bandwidth = float(row["bandwidth_gbs"]) * 1e9
    usable_bytes = int(usable) * MIB if usable else _usable(vram_bytes, unified=not pcie)
    return CardRow(
        name=name,
        key=_parse(name)[0],
        vendor=_vendor(row["vendor"]),
        vram_bytes=vram_bytes,
        usable_bytes=usable_bytes,
        usable_measured=bool(usable),
        bandwidth_bytes_per_second=bandwidth,
        fp16_flops=float(row["fp16_tflops"]) * 1e12,
        compute=row["compute"],
        pcie_bytes_per_second=_pcie(pcie) if pcie else None,
        decode_efficiency=_band(row["decode"])
        if row["decode"]
        else _usual(row["vendor"], bandwidth),
        source=row["source"],
    )


def _usual(vendor: str, bandwidth: float) -> tuple[float, float, float] | None:
    if bandwidth > _LARGEST_USUAL_BANDWIDTH:
        return None
    return _USUAL_DECODE if vendor == "nvidia" else _OTHER_DECODE


def _usable(vram_bytes: int, *, unified: bool) -> int:
    if not unified:
        return vram_bytes - _reserve(vram_bytes)
    return vram_bytes * 2 // 3 if vram_bytes < _SMALL_UNIFIED_BYTES else vram_bytes * 3 // 4


def _vendor(name: str) -> Vendor:
    return next(vendor for vendor in get_args(Vendor) if vendor == name)


def _pcie(text: str) -> float:
    """Of ``4x16``."""
    generation, lanes = text.split("x")
    return _PCIE_LANE[int(generation)] * int(lanes) * _PCIE_SHARE


def _band(text: str) -> tuple[float, float, float]:
    low, middle, high = (float(part) for part in text.split("/"))
    return low, middle, high
