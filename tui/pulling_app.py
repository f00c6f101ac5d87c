"""The deck's dealings with what is not on this machine yet: the Hub and the pulls."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from textual import on

from modeldeck.tui import messages
from modeldeck.tui.judging_app import JudgingApp
from modeldeck.tui.state import Notice

if TYPE_CHECKING:
    from modeldeck.tui.hub_desk import HubDesk


class PullingApp(JudgingApp):
    """Makes the Hub and the pulls when they are first gone to."""

    @cached_property
    def hub(self) -> HubDesk:
        """What could be had, from the first time it is asked for."""
        from modeldeck.tui.hub_desk import HubDesk
        from modeldeck.tui.hub_jobs import HubJobs

        return HubDesk(HubJobs(self.jobs.workers, self.services.hub_source))

    @on(messages.OverlayAsked)
    def _overlay_asked(self, message: messages.OverlayAsked) -> None:
        self.push_screen(message.overlay)

    @on(messages.PullsAsked)
    def _pulls_asked(self, message: messages.PullsAsked) -> None:
        self.give_notice(Notice(f"{len(message.targets)} to pull."))
