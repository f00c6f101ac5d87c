"""The system prompt and the sampling the user wants for a model, in every new conversation."""

from __future__ import annotations

from typing import NamedTuple

from modeldeck.engines.chat import Sampling
from modeldeck.engines.store import sampling_text
from modeldeck.engines.store.database import Database
from modeldeck.engines.text import clean
from modeldeck.engines.types import LocalModel


class ChatSettings(NamedTuple):
    """What a conversation is held with."""

    system_prompt: str = ""
    sampling: Sampling = Sampling()


def identity_of(model: LocalModel) -> str:
    """What settings are kept under: name and size.

    So they survive that the file is moved or seen through another store, and are not mixed up with
    another quantisation's. Reading the file for a digest would take minutes.
    """
    return f"{model.name}:{model.size_bytes}"


class ModelSettings:
    """What the user set for each model. Every method may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, model: LocalModel) -> ChatSettings:
        """What is set for ``model``; the defaults when nothing is."""
        rows = self._database.rows(
            "SELECT system_prompt, sampling FROM model_settings WHERE model = ?",
            (identity_of(model),),
        )
        for row in rows:
            return ChatSettings(row["system_prompt"], sampling_text.from_text(row["sampling"]))
        return ChatSettings()

    def set(self, model: LocalModel, settings: ChatSettings) -> None:
        """Keep ``settings`` for ``model``; the defaults are kept as nothing."""
        with self._database.transaction() as connection:
            if settings == ChatSettings():
                connection.execute(
                    "DELETE FROM model_settings WHERE model = ?", (identity_of(model),)
                )
                return
            connection.execute(
                "INSERT OR REPLACE INTO model_settings VALUES (?, ?, ?)",
                (
                    identity_of(model),
                    clean(settings.system_prompt),
                    sampling_text.to_text(settings.sampling),
                ),
            )
