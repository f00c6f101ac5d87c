"""Several cards as one: what a model may be spread over."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.fit.cards import card_from_gpu, card_named, reference_card, with_freed
from modeldeck.engines.fit.types import Card
from modeldeck.engines.hardware.types import GpuProcess, GpuSnapshot, HardwareSnapshot, Mig

_AND: Final = "+"
_MOST: Final = 16
_COUNTED: Final = re.compile(r"\s*(?P<count>[1-9]\d?)\s*[x×]\s*(?P<name>.+)")


def together(cards: Sequence[Card]) -> Card:
    """One card made of several, in their order; one alone is itself."""
    if len(cards) == 1:
        return cards[0]
    return Card(
        name=_named([card.name for card in cards]),
        usable_bytes=sum(card.usable_bytes for card in cards),
        free_bytes=sum(card.free_bytes for card in cards),
        what_if=any(card.what_if for card in cards),
        ram_bytes=cards[0].ram_bytes,
        vendor=cards[0].vendor,
        compute=_oldest(cards),
        host=cards[0].host,
        parts=tuple(cards),
    )


def cards_named(text: str, ram_bytes: int) -> Card:
    """What-if cards by name: ``RTX 3090 + RTX 3060 12GB``, ``2x RTX 3090``.

    Raises:
        SettingsError: a card is not known, or there are too many.
    """
    cards: list[Card] = []
    for name in text.split(_AND):
        counted = _COUNTED.fullmatch(name)
        card = card_named(counted["name"] if counted else name, ram_bytes)
        cards += [card] * (int(counted["count"]) if counted else 1)
        if len(cards) > _MOST:
            raise SettingsError(
                "That is more cards than one machine has.", f"Name at most {_MOST}."
            )
    if not cards:
        raise SettingsError("No card is named.", "Name one like “RTX 3060 12GB”.")
    return together(cards)


def sharing(hardware: HardwareSnapshot) -> tuple[GpuSnapshot, ...]:
    """The GPUs of this machine that can share a model, in the order in which engines count them.

    They are the maker's whose card has most free memory. A MIG instance shares with none, because a
    process sees only one; none where no GPU tells its memory.
    """
    best = hardware.main_gpu
    if best is None or best.mig is not Mig.OFF:
        return () if best is None else (best,)
    maker = _maker(best)
    return tuple(
        gpu
        for gpu in hardware.runners
        if gpu is best
        or (gpu.mig is Mig.OFF and gpu.memory_free_bytes is not None and _maker(gpu) == maker)
    )


def cards_of(
    hardware: HardwareSnapshot, ends: Callable[[GpuProcess], bool] = lambda _: False
) -> Card:
    """What to judge against on this machine: its cards together, else the reference card.

    Args:
        hardware: the machine.
        ends: which processes will have ended; what they hold counts as free.
    """
    ram_bytes = hardware.host.memory_available_bytes or 0
    found: list[Card] = []
    for gpu in sharing(hardware):
        card = card_from_gpu(gpu, ram_bytes)
        if card is not None:
            found.append(with_freed(card, filter(ends, gpu.processes or ())))
    return together(found) if found else reference_card(ram_bytes)


def _maker(gpu: GpuSnapshot) -> str | None:
    card = card_from_gpu(gpu, 0)
    return card.vendor if card is not None else None


def _named(names: Sequence[str]) -> str:
    """``2 × RTX 3060 12GB``, ``RTX 3090 24GB + RTX 3060 12GB``."""
    counts = {name: names.count(name) for name in names}
    each = [f"{count} × {name}" if count > 1 else name for name, count in counts.items()]
    return f" {_AND} ".join(each)


def _oldest(cards: Sequence[Card]) -> str | None:
    """The compute capability that all of them have."""
    known = [card.compute for card in cards if card.compute]
    if len(known) < len(cards) or not all(one.replace(".", "").isdigit() for one in known):
        return known[0] if known else None
    return min(known, key=float)
