"""Every table that is kept: what a database is opened with."""

from __future__ import annotations

from typing import Final

from modeldeck.engines.store import (
    engine_choices,
    headers,
    host_speeds,
    memory_loads,
    profiles,
    shapes,
    speed_residuals,
)
from modeldeck.engines.store.conversation_tables import (
    CONVERSATION_SEARCH,
    CONVERSATIONS,
    IMAGES,
    MODEL_SETTINGS,
)

SCHEMAS: Final = (
    headers.SCHEMA,
    CONVERSATIONS,
    CONVERSATION_SEARCH,
    IMAGES,
    engine_choices.SCHEMA,
    MODEL_SETTINGS,
    host_speeds.SCHEMA,
    memory_loads.SCHEMA,
    speed_residuals.SCHEMA,
    shapes.SCHEMA,
    profiles.SCHEMA,
)
"""One entry for each module that keeps something."""
