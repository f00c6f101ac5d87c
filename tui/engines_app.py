"""The deck's dealings with its engines and with the machine's health."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from textual import on

from modeldeck.tui import messages
from modeldeck.tui.pulling_app import PullingApp
from modeldeck.tui.state import Notice

if TYPE_CHECKING:
    from modeldeck.engines.doctor.types import Finding
    from modeldeck.tui.engine_jobs import EngineJobs


class EnginesApp(PullingApp):
    """Looks for engines, tries them, and examines the machine."""

    @cached_property
    def _engine_jobs(self) -> EngineJobs:
        from modeldeck.tui.engine_jobs import EngineJobs

        return EngineJobs(self.jobs.workers, self.services)

    @on(messages.ProbeAsked)
    def _probe_asked(self) -> None:
        self.jobs.probe()

    @on(messages.DoctorAsked)
    def _doctor_asked(self) -> None:
        self.give_notice(Notice("The doctor looks at this machine …"))
        self._engine_jobs.examine(self._examined)

    def _examined(self, findings: tuple[Finding, ...], summary: str) -> None:
        from modeldeck.tui.screens.overlay import FindingsOverlay

        self.push_screen(FindingsOverlay(findings, summary, self.state.hardware))

    @on(messages.EngineTestAsked)
    def _engine_test_asked(self, message: messages.EngineTestAsked) -> None:
        devices = self.state.devices_of(message.engine)
        self._tested(message.engine, ("being tried …",))
        self._engine_jobs.test(message.engine, devices, self.state.models, self._tested)

    def _tested(self, engine: str, lines: tuple[str, ...]) -> None:
        others = {name: old for name, old in self.state.trials.items() if name != engine}
        self.change(self.state._replace(trials={**others, engine: lines} if lines else others))
