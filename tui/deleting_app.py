"""Deleting a model from the list: the first press asks, the second one does it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from textual import on

from modeldeck.engines.errors import ModeldeckError
from modeldeck.tui import messages
from modeldeck.tui.actions import Action, key_name
from modeldeck.tui.judging_app import JudgingApp
from modeldeck.tui.state import Notice

if TYPE_CHECKING:
    from modeldeck.tui.deletion import Deletion, Planned


class DeletingApp(JudgingApp):
    """Asks in the notice line, and asks anew when anything else was said meanwhile."""

    actions: tuple[Action, ...]
    _asked: Planned | None = None
    _question: Notice | None = None

    @cached_property
    def _deletion(self) -> Deletion:
        from modeldeck.tui.deletion import Deletion  # stores and trash: 20 ms

        return Deletion(self.jobs.workers, self.services.settings)

    @on(messages.DeletionAsked)
    def _deletion_asked(self, message: messages.DeletionAsked) -> None:
        model = self.state.model(message.model_id)
        if model is None:
            return
        loaded = self.state.loaded
        if loaded is not None and loaded.model.id == model.id:
            self.give_notice(Notice(f"{model.name} is loaded.", "Unload it first."))
            return
        asked, self._asked = self._asked, None
        still = self._question is not None and self.state.notice is self._question
        if asked is not None and asked.model_id == model.id and still:
            self.give_notice(Notice(f"Deleting {model.name} …"))
            self._deletion.carry_out(asked, self._deleted, self._not_deleted)
        else:
            self._deletion.plan(model, self.state.models, self._ask, self._not_deleted)

    def _ask(self, planned: Planned) -> None:
        key = next(entry.keys[0] for entry in self.actions if entry.id == "models.delete")
        self._asked, self._question = planned, planned.question(key_name(key))
        self.give_notice(self._question)

    def _deleted(self, notice: Notice) -> None:
        self.give_notice(notice)
        self.jobs.scan(whole=True)

    def _not_deleted(self, error: ModeldeckError) -> None:
        self.give_notice(Notice.of(error))

    @on(messages.RowRested)
    def _other_row(self, message: messages.RowRested) -> None:
        if self._asked is not None and message.model_id != self._asked.model_id:
            self._asked = None
            if self.state.notice is self._question:
                self.give_notice(None)
