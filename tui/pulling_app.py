"""The deck's dealings with what is not on this machine yet: the Hub and the pulls."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from textual import on

from modeldeck.engines.text import clean_line
from modeldeck.tui import messages
from modeldeck.tui.actions import Action, key_name
from modeldeck.tui.deleting_app import DeletingApp
from modeldeck.tui.state import Notice, PullsBrief

if TYPE_CHECKING:
    from modeldeck.engines.pulls.types import PullProgress
    from modeldeck.tui.hub_desk import HubDesk
    from modeldeck.tui.pulls_desk import PullsDesk


class PullingApp(DeletingApp):
    """Makes the Hub and the pulls when they are first gone to."""

    actions: tuple[Action, ...]

    @cached_property
    def hub(self) -> HubDesk:
        """What could be had, from the first time it is asked for."""
        from modeldeck.tui.hub_desk import HubDesk
        from modeldeck.tui.hub_jobs import HubJobs

        return HubDesk(HubJobs(self.jobs.workers, self.services.elsewhere.hub))

    @on(messages.OverlayAsked)
    def _overlay_asked(self, message: messages.OverlayAsked) -> None:
        self.push_screen(message.overlay)

    @cached_property
    def pulls(self) -> PullsDesk:
        """What is on its way, from the first time it is asked for."""
        from modeldeck.tui.pulls_desk import PullsDesk
        from modeldeck.tui.pulls_jobs import PullsJobs

        jobs = PullsJobs(self.jobs.workers, self.services.elsewhere.pulls)
        return PullsDesk(jobs, self._brief_changed, self._pulls_done, self.give_notice)

    def watch_pulls(self) -> None:
        """Follow the pulls that are on their way from before; without any, nothing is begun."""
        if self.services.elsewhere.pulls_under_way():
            self.pulls.watch()

    def _brief_changed(self, brief: PullsBrief) -> None:
        self.change(self.state._replace(pulls=brief))

    def _pulls_done(self, done: tuple[PullProgress, ...]) -> None:
        names = ", ".join(clean_line(one.title, 60) for one in done)
        self.give_notice(Notice(f"{names} has come." if len(done) == 1 else f"{names} have come."))
        self.jobs.scan(whole=True)

    @on(messages.PullsAsked)
    def _pulls_asked(self, message: messages.PullsAsked) -> None:
        count = len(message.targets)
        key = next(a.keys[0] for a in self.actions if a.id == "everywhere.pulls")
        queued = Notice(
            f"{count} download{'' if count == 1 else 's'} queued.", f"{key_name(key)} shows them."
        )
        self.pulls.add(message.targets, lambda: self.give_notice(queued))
