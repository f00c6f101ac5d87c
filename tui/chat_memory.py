"""Remembers what conversations are held with: each its own, and a model's for every new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.store.conversations import Conversation, Conversations
from modeldeck.engines.store.model_settings import ChatSettings, ModelSettings
from modeldeck.engines.types import LocalModel
from modeldeck.tui.ledger import Ledger

_Kept = tuple[Conversation | None, LocalModel | None, ChatSettings]


class ChatMemory:
    """Writes settings while they are typed: one write at a time, and always the newest."""

    def __init__(
        self,
        conversations: Conversations,
        models: ModelSettings,
        ledger: Ledger,
        failed: Callable[[ModeldeckError], None],
    ) -> None:
        self._conversations = conversations
        self._models = models
        self._ledger = ledger
        self._failed = failed
        self._newest: _Kept | None = None
        self._writing = False

    def keep(
        self,
        conversation: Conversation | None,
        model: LocalModel | None,
        settings: ChatSettings,
    ) -> None:
        """Keep ``settings`` for a conversation, and for a model, where there is one."""
        self._newest = conversation, model, settings
        if not self._writing:
            self._write()

    def recall(self, model: LocalModel, done: Callable[[ChatSettings], None]) -> None:
        """Hand what is kept for ``model`` to ``done``; the defaults when it cannot be read."""

        def failed(error: ModeldeckError) -> None:
            self._failed(error)
            done(ChatSettings())

        self._ledger.keep(lambda: self._models.get(model), done, failed)

    def _write(self) -> None:
        newest, self._newest = self._newest, None
        self._writing = newest is not None
        if newest is None:
            return
        conversation, model, settings = newest

        def keep() -> None:
            if conversation is not None:
                self._conversations.configure(
                    replace(
                        conversation,
                        system_prompt=settings.system_prompt,
                        sampling=settings.sampling,
                    )
                )
            if model is not None:
                self._models.set(model, settings)

        def failed(error: ModeldeckError) -> None:
            self._failed(error)
            self._write()

        self._ledger.keep(keep, lambda _: self._write(), failed)
