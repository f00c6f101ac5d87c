"""What the user set for a model is there again, wherever its file has gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.chat import Sampling
from modeldeck.engines.store import sampling_text
from modeldeck.engines.store.conversation_tables import MODEL_SETTINGS
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.model_settings import ChatSettings, ModelSettings
from modeldeck.engines.types import LocalModel, ModelFormat, Source
from tests.support.strategies import built

SMALL = LocalModel("Small", Path("/a/Small.gguf"), (), Source.FOLDER, ModelFormat.GGUF, 1000)
PRECISE = ChatSettings("Be exact.", Sampling(temperature=0.1, seed=7))


@pytest.fixture
def settings() -> ModelSettings:
    return ModelSettings(Database.in_memory([MODEL_SETTINGS]))


def test_a_model_that_was_moved_keeps_its_settings(settings: ModelSettings) -> None:
    assert settings.get(SMALL) == ChatSettings()
    settings.set(SMALL, PRECISE)
    moved = SMALL._replace(path=Path("/b/Small.gguf"), source=Source.HUGGING_FACE)
    assert settings.get(moved) == PRECISE
    assert settings.get(SMALL._replace(size_bytes=999)) == ChatSettings(), "another quantisation"
    assert settings.get(SMALL._replace(name="Large")) == ChatSettings()


def test_setting_again_replaces_and_the_defaults_are_nothing(settings: ModelSettings) -> None:
    settings.set(SMALL, PRECISE)
    settings.set(SMALL, ChatSettings("Other"))
    assert settings.get(SMALL) == ChatSettings("Other")
    settings.set(SMALL, ChatSettings())
    assert settings.get(SMALL) == ChatSettings()


def test_control_characters_are_not_kept(settings: ModelSettings) -> None:
    settings.set(SMALL, ChatSettings("a\x1b]0;b"))
    assert settings.get(SMALL).system_prompt == "a]0;b"


@given(
    built(
        Sampling,
        temperature=st.none() | st.floats(0, 5),
        top_k=st.none() | st.integers(0, 1000),
        seed=st.none() | st.integers(0, 2**32),
    )
)
def test_sampling_survives_its_text(sampling: Sampling) -> None:
    assert sampling_text.from_text(sampling_text.to_text(sampling)) == sampling


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"unknown": 1}'])
def test_what_cannot_be_read_is_the_default(text: str) -> None:
    assert sampling_text.from_text(text) == Sampling()
