"""The card that ``modeldeck fit`` judges for, and who holds memory of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, replace

from modeldeck.engines.fit.card_group import cards_of, sharing
from modeldeck.engines.fit.companions import ALONE, Companions
from modeldeck.engines.fit.types import Card, OtherProcess
from modeldeck.engines.hardware.types import GpuProcess, HardwareSnapshot, HostSnapshot
from modeldeck.engines.units import gib_number
from modeldeck.tui.services import Services


@dataclass(frozen=True, slots=True)
class JudgedCard:
    """A card with those who hold memory of it.

    Attributes:
        card: what the deck's own models hold counts as free.
        others: processes that are not the deck's.
        own: the deck's, each named after its model: they end when another model is loaded.
        remark: what the reader should know of the card; may be empty.
        host: the machine beside the card; None when nobody looked.
        beside: what is loaded with every target.
    """

    card: Card
    others: tuple[OtherProcess, ...] = ()
    own: tuple[OtherProcess, ...] = ()
    remark: str = ""
    host: HostSnapshot | None = None
    beside: Companions = ALONE


def judged_card(
    services: Services, snapshot: HardwareSnapshot, options: argparse.Namespace
) -> JudgedCard:
    """The card the options name, else the one that is here, else the reference card.

    Raises:
        SettingsError: the card that is set is not known.
    """
    judged = _card(services, snapshot, options)
    card = judged.card
    if options.free is not None:
        card = card._replace(
            free_bytes=options.free,
            usable_bytes=max(options.free, card.usable_bytes),
            parts=(),
        )
    if options.ram is not None:
        card = card._replace(ram_bytes=options.ram)
    return replace(judged, card=card, host=snapshot.host)


def _card(
    services: Services, snapshot: HardwareSnapshot, options: argparse.Namespace
) -> JudgedCard:
    settings = services.settings
    if settings.gpu or settings.vram:
        card = services.cards.card(snapshot)
        return JudgedCard(card, remark=f"judged for: {card.name}")
    ram_bytes = snapshot.host.memory_available_bytes or 0
    card = cards_of(snapshot, _is_decks)
    if card.what_if and options.free is not None:
        free: int = options.free
        name = f"a card with {gib_number(free)} GiB free"
        return JudgedCard(Card(name, free, free, True, ram_bytes), remark=f"judged for: {name}")
    if card.what_if:
        return JudgedCard(card, remark=f"judged for: {card.name} ({snapshot.why_none})")
    processes = [process for gpu in sharing(snapshot) for process in gpu.processes or ()]
    held = _named(process for process in processes if _is_decks(process))
    remark = ", ".join(f"{one.name} ({gib_number(one.used_bytes)} GiB)" for one in held)
    return JudgedCard(
        card,
        _named(process for process in processes if not _is_decks(process)),
        held,
        f"counted as free: what the deck holds for {remark}" if held else "",
    )


def _is_decks(process: GpuProcess) -> bool:
    """A deck holds it, and ends it when another model is loaded."""
    return process.deck is not None


def _named(processes: Iterable[GpuProcess]) -> tuple[OtherProcess, ...]:
    return tuple(
        OtherProcess(process.name or f"process {process.pid}", process.used_bytes)
        for process in processes
        if process.used_bytes
    )
