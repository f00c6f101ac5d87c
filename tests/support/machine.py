"""A machine as a user has it: a home with a folder of models that the settings name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from modeldeck.engines.store.conversations import Conversations, Message
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.schemas import SCHEMAS
from tests.support.terminal import Terminal, modeldeck_command


@dataclass(frozen=True)
class Machine:
    """A home of its own. ``models`` is looked through; ``runtime`` takes the engines' sockets."""

    home: Path

    @property
    def models(self) -> Path:
        """The folder of models."""
        return self.home / "models"

    @property
    def runtime(self) -> Path:
        """``XDG_RUNTIME_DIR``."""
        return self.home / "run"

    @property
    def temporary(self) -> Path:
        """``TMPDIR``."""
        return self.home / "tmp"

    @property
    def database(self) -> Path:
        """Where the decks of this home keep their conversations."""
        return self.home / ".local" / "share" / "modeldeck" / "modeldeck.db"

    def settings(self, text: str) -> None:
        """Write the settings file."""
        folder = self.home / ".config" / "modeldeck"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text(text, encoding="utf-8")

    def environ(self, **more: str) -> dict[str, str]:
        """The environment of a login here."""
        kept = {
            key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "PYTHONPATH")
        }
        return {
            **kept,
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "TMPDIR": str(self.temporary),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            **more,
        }

    def kept_messages(self, path: Path | None = None) -> tuple[Message, ...]:
        """The conversation that was last said something in, as it is kept here or in ``path``."""
        database = Database.open(path or self.database, SCHEMAS)
        try:
            conversations = Conversations(database)
            newest = conversations.recent(1)
            return conversations.branch(newest[0].leaf) if newest else ()
        finally:
            database.close()

    def deck(self, *arguments: str, size: tuple[int, int] = (120, 40), **more: str) -> Terminal:
        """Open the deck in a terminal; ``more`` is added to the environment."""
        return Terminal(modeldeck_command(*arguments), environ=self.environ(**more), size=size)
