"""Starts the deck's workers by group; nothing that one raises is lost."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from modeldeck.engines.text import clean_line
from modeldeck.tui import messages

if TYPE_CHECKING:
    from textual.worker import Worker

    from modeldeck.tui.terminal_app import TerminalApp


def unforeseen(job: str, error: Exception) -> tuple[str, str]:
    """Cause and next step of an error that nobody expected."""
    return (
        f"The {job} failed in a way that was not foreseen: {clean_line(repr(error), 200)}.",
        "Try again; if it comes back, report it with the log.",
    )


class Workers:
    """Textual workers on the app, which outlive every screen."""

    def __init__(self, app: TerminalApp) -> None:
        self._app = app
        self._newest: dict[str, Worker[None]] = {}

    def start(self, group: str, job: Callable[[], Coroutine[Any, Any, None]]) -> Worker[None]:
        """Run ``job``, in place of an older one of its group. Nothing it raises is lost."""

        async def guarded() -> None:
            try:
                await job()
            except Exception as error:
                self._app.post_message(messages.NoticeGiven(*unforeseen(group, error), True))

        worker: Worker[None] = self._app.run_worker(
            guarded, name=group, group=group, exclusive=True, exit_on_error=False
        )
        running = {name: one for name, one in self._newest.items() if not one.is_finished}
        self._newest = {**running, group: worker}
        return worker

    def stop(self, group: str) -> None:
        """End what runs in a group."""
        worker = self._newest.pop(group, None)
        if worker is not None:
            worker.cancel()
