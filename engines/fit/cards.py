"""Cards to judge against: the one that is here, one by name, one by its memory alone."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, cast

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.fit.types import Card
from modeldeck.engines.hardware.types import GpuSnapshot, HardwareSnapshot
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import MIB, gib_number

REFERENCE_CARD: Final = "RTX 3060 12GB"
"""The card that verdicts speak of on a machine without one."""

# What the driver keeps of an empty card: 382 MiB of 12288 and 452 of 24576 are measured, and this
# is the line through them.
_RESERVE_BYTES: Final = 312 * MIB
_RESERVE_SHARE: Final = 0.0057

# A total may differ from the size in the name by what error correction and firmware take.
_SAME_SIZE: Final = 0.1

_NOISE_WORDS: Final = """
    nvidia geforce tesla quadro gpu graphics generation
    pcie sxm2 sxm4 sxm5 hbm2 hbm2e hbm3 hbm3e
    """
_NOISE: Final = frozenset(_NOISE_WORDS.split())
_WORD: Final = re.compile(r"[a-z]+[0-9]*[a-z]*|[0-9]+[a-z]*")
_SIZE: Final = re.compile(r"(\d{1,4})\s*gi?b?\b")


@dataclass(frozen=True, slots=True)
class CardRow:
    """One row of ``cards.toml``; its head says where each figure is from."""

    name: str
    key: str
    vram_bytes: int
    usable_bytes: int
    bandwidth_bytes_per_second: float
    decode_efficiency: tuple[float, float, float]

    @property
    def title(self) -> str:
        """Name and size, as ``card_named`` takes them: ``RTX 3060 12GB``."""
        return f"{self.name} {round(self.vram_bytes / (1024 * MIB))}GB"


@cache
def known_cards() -> tuple[CardRow, ...]:
    """Every card in the table, in its order."""
    text = Path(__file__).with_name("cards.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    usual = _band(table["efficiency"])
    return tuple(_row(row, usual) for row in cast("list[dict[str, object]]", table["card"]))


def card_named(name: str, ram_bytes: int) -> Card:
    """A what-if card by its product name: ``RTX 3060 12GB``, ``rtx3090``, ``4060 ti 16gb``.

    Args:
        name: case, maker and spaces do not matter; without a size the usual one is taken.
        ram_bytes: host memory to judge with.

    Raises:
        SettingsError: no such card is in the table.
    """
    key, size_gb = _parse(name)
    rows = [row for row in known_cards() if row.key in (key, f"rtx{key}", f"gtx{key}")]
    if size_gb is not None:
        rows = [row for row in rows if round(row.vram_bytes / (1024 * MIB)) == size_gb]
    if not rows:
        raise SettingsError(
            f"No card is known as “{clean_line(name, 40)}”.",
            "Name one like “RTX 3060 12GB”, or give its memory alone, like 12GiB.",
        )
    return _card(rows[0], ram_bytes)


def reference_card(ram_bytes: int) -> Card:
    """The what-if card of a machine without a GPU."""
    return card_named(REFERENCE_CARD, ram_bytes)


def card_with_vram(vram_bytes: int, ram_bytes: int) -> Card:
    """A what-if card of which only the memory is known; no rate is predicted for it."""
    usable = max(vram_bytes - _reserve(vram_bytes), 0)
    return Card(f"{gib_number(vram_bytes)} GiB card", usable, usable, True, ram_bytes)


def card_of(hardware: HardwareSnapshot) -> Card:
    """What to judge against on this machine: the GPU with most free memory, else the reference."""
    ram_bytes = hardware.host.memory_available_bytes or 0
    here = [card for gpu in hardware.gpus if (card := card_from_gpu(gpu, ram_bytes))]
    return max(here, key=lambda card: card.free_bytes, default=None) or reference_card(ram_bytes)


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
    return Card(
        name=row.title if row else gpu.name,
        usable_bytes=max(usable, free),
        free_bytes=free,
        what_if=False,
        ram_bytes=ram_bytes,
        bandwidth_bytes_per_second=row.bandwidth_bytes_per_second if row else None,
        decode_efficiency=row.decode_efficiency if row else None,
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


def _row(row: dict[str, object], usual: tuple[float, float, float]) -> CardRow:
    name, vram = cast("str", row["name"]), cast("int", row["vram_mib"]) * MIB
    usable = cast("int | None", row.get("usable_mib"))
    return CardRow(
        name=name,
        key=_parse(name)[0],
        vram_bytes=vram,
        usable_bytes=usable * MIB if usable is not None else vram - _reserve(vram),
        bandwidth_bytes_per_second=cast("float", row["bandwidth_gbs"]) * 1e9,
        decode_efficiency=_band(row["efficiency"]) if "efficiency" in row else usual,
    )


def _band(value: object) -> tuple[float, float, float]:
    low, middle, high = cast("list[float]", value)
    return low, middle, high
