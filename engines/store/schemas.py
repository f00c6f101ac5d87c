"""Every table that is kept: what a database is opened with."""

from __future__ import annotations

from typing import Final

from modeldeck.engines.store import conversation_list, conversations, engine_choices, headers

SCHEMAS: Final = (
    headers.SCHEMA,
    conversations.SCHEMA,
    conversation_list.SCHEMA,
    engine_choices.SCHEMA,
)
"""One entry for each module that keeps something."""
