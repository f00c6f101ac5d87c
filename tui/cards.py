"""The card that verdicts are for, and the speed of the host beside it."""

from __future__ import annotations

import os
import time
from threading import Thread
from typing import TYPE_CHECKING, Final

from modeldeck.engines.store.database import StoreError
from modeldeck.engines.units import parse_size

if TYPE_CHECKING:
    from modeldeck.engines.fit.types import Card, HostSpeed
    from modeldeck.engines.hardware.types import GpuProcess, HardwareSnapshot, HostSnapshot
    from modeldeck.engines.store.database import Database
    from modeldeck.tui.settings import Settings

_STEP_BYTES: Final = 64 << 20

# Not while the deck paints its first list.
_QUIET_S: Final = 10.0


def processes_of(hardware: HardwareSnapshot, *, own: bool) -> tuple[GpuProcess, ...]:
    """Who holds memory of the cards that are judged for, the largest of each first.

    Args:
        hardware: the machine.
        own: this deck's engines, which end when another model is loaded; else all the others.
    """
    from modeldeck.engines.fit.card_group import sharing

    processes = (process for gpu in sharing(hardware) for process in gpu.processes or ())
    return tuple(process for process in processes if _is_own(process) is own)


def _is_own(process: GpuProcess) -> bool:
    """It is one of this deck's engines."""
    return process.deck == os.getpid()


class Cards:
    """Cards to judge for; the host's memory is measured once a machine, and kept."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self._database = database
        self._host: HostSpeed | None = None
        self._hardware: HardwareSnapshot | None = None
        self._asked = 0.0
        self._measuring: Thread | None = None

    def card(self, hardware: HardwareSnapshot, what_if: str = "") -> Card:
        """The card to judge for: ``what_if``, else the one set, the one here, the reference.

        Raises:
            SettingsError: the card that is set is not known.
        """
        from modeldeck.engines.fit.card_group import cards_named, cards_of
        from modeldeck.engines.fit.cards import card_with_vram

        self._hardware = hardware
        ram_bytes = hardware.host.memory_available_bytes or 0
        if name := what_if or self.settings.gpu:
            card = cards_named(name, ram_bytes)
        elif self.settings.vram:
            card = card_with_vram(parse_size(self.settings.vram), ram_bytes)
        else:
            card = cards_of(hardware, _is_own)
        return card._replace(host=self._known(hardware.host))

    @staticmethod
    def card_here(hardware: HardwareSnapshot) -> Card:
        """The card that is here, whatever the verdicts are for."""
        from modeldeck.engines.fit.card_group import cards_of

        return cards_of(hardware)

    def now(self) -> Card | None:
        """The card that is here and its host, as last seen; None before anything was."""
        if self._hardware is None:
            return None
        return self.card_here(self._hardware)._replace(host=self._host)

    @staticmethod
    def moved(before: Card, after: Card) -> bool:
        """Whether so much memory came or went that verdicts are due again."""
        return (before.name, before.host) != (after.name, after.host) or any(
            abs(old - new) >= _STEP_BYTES
            for old, new in (
                (before.free_bytes, after.free_bytes),
                (before.ram_bytes // 8, after.ram_bytes // 8),
            )
        )

    def with_host(self, card: Card, host: HostSnapshot) -> Card:
        """The same card beside this host, measured now where that was not done before: 0.5 s."""
        if card.host is None and self._read(host) is None:
            self._measure(host)
        return card._replace(host=card.host or self._host)

    def _known(self, host: HostSnapshot) -> HostSpeed | None:
        """What was measured; a measure begins when there is none and the deck has come to rest."""
        if self._host is not None or self._measuring is not None:
            return self._host
        if not self._asked:
            self._asked = time.monotonic()
            self._read(host)
        elif time.monotonic() - self._asked >= _QUIET_S:
            self._measuring = Thread(target=self._measure, args=(host,), daemon=True)
            self._measuring.start()
        return self._host

    def _read(self, host: HostSnapshot) -> HostSpeed | None:
        from modeldeck.engines.store.host_speeds import HostSpeeds

        try:
            kept = HostSpeeds(self._database).of(_machine(host))
        except StoreError:
            kept = None
        if kept is not None:
            self._host = _speed(kept, host)
        return self._host

    def _measure(self, host: HostSnapshot) -> None:
        from modeldeck.engines.hardware.memory_speed import measure_memory
        from modeldeck.engines.store.host_speeds import HostSpeeds

        try:
            reached = measure_memory()
        except MemoryError:
            return
        self._host = _speed(reached, host)
        try:
            HostSpeeds(self._database).keep(_machine(host), reached)
        except StoreError:
            return


def _machine(host: HostSnapshot) -> str:
    """What a measure holds for: the same processor with the same memory."""
    total = (host.memory_total_bytes or 0) >> 30
    return f"{host.cpu_name}, {host.cpu_cores} threads, {total} GiB"


def _speed(bytes_per_second: float, host: HostSnapshot) -> HostSpeed:
    from modeldeck.engines.fit.types import HostSpeed

    # llama.cpp computes with one thread a core; most cores count as two.
    threads = host.cpu_cores // 2 if host.cpu_cores > 3 else host.cpu_cores
    return HostSpeed(bytes_per_second, max(threads, 1))
