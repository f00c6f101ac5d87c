"""An engine and a store put together as the deck does, with what they could leak counted."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from modeldeck.engines.store.conversations import Conversations
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.engines.types import LoadedModel, LocalModel
from modeldeck.tui.reply import ReplyUpdate
from modeldeck.tui.silence import PATIENCE_S
from tests.support.census import Census
from tests.support.headless import CPU_PLAN, Answer, ask


@dataclass
class Desk:
    """The real engine and a database on disk; sockets and temporary files go to ``scratch``."""

    engine: LlamaServerEngine
    conversations: Conversations
    scratch: Path

    def census(self) -> Census:
        """What this process holds now."""
        return Census.of(os.getpid(), self.scratch)

    async def warm_up(self, model: LocalModel) -> None:
        """Load and ask once: what is opened once and kept is no leak."""
        loaded = await self.engine.load(model, CPU_PLAN)
        await self.ask(loaded, "Go on", most_tokens=3)
        await self.engine.unload(loaded.instance)

    async def ask(
        self,
        loaded: LoadedModel,
        question: str,
        on_update: Callable[[ReplyUpdate], None] = lambda _: None,
        *,
        most_tokens: int | None = None,
        patience_s: float = PATIENCE_S,
    ) -> Answer:
        """Ask in a conversation of its own and read back what is kept of the answer."""
        return await ask(
            self.engine,
            self.conversations,
            loaded,
            question,
            on_update,
            most_tokens=most_tokens,
            patience_s=patience_s,
        )


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """A desk; closed it leaves nothing."""
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    database = Database.open(tmp_path / "data" / "modeldeck.db", SCHEMAS)
    engine = LlamaServerEngine()
    yield Desk(engine, Conversations(database), scratch)
    await engine.close()
    database.close()
    assert list(scratch.iterdir()) == []
