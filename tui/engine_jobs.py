"""The workers that examine the machine and try its engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.types import Device, LocalModel
from modeldeck.tui.services import Services
from modeldeck.tui.workers import Workers

if TYPE_CHECKING:
    from modeldeck.engines.doctor.types import Finding

Lines = Callable[[str, tuple[str, ...]], None]
"""Is told an engine's name and what is to be shown of its check."""


class EngineJobs:
    """What the Engines place asks for; the check of one engine replaces that of another."""

    def __init__(self, workers: Workers, services: Services) -> None:
        self._workers = workers
        self._services = services

    def examine(self, found: Callable[[tuple[Finding, ...], str], None]) -> None:
        """Look for what is wrong with this machine, and say how it stands in a sentence."""

        async def examine() -> None:
            from modeldeck.tui.examination import examine_machine, summary

            findings = await examine_machine(self._services)
            found(findings, summary(findings))

        self._workers.start("doctor", examine)

    def test(
        self, name: str, devices: Sequence[Device], models: Sequence[LocalModel], told: Lines
    ) -> None:
        """Have an engine say five tokens, and tell how it did."""

        async def test() -> None:
            from modeldeck.tui.engine_trials import trial_lines, tried

            lines: tuple[str, ...] = ()
            try:
                engine = self._services.engine(name)
                trial = await tried(self._services, engine, tuple(devices), models)
                lines = tuple(trial_lines(trial))
            except ModeldeckError as error:
                lines = (error.cause, error.next_step)
            finally:
                told(name, lines)

        self._workers.start("test", test)
