"""How many tokens a conversation has: the engine is asked; where it cannot say, about how many."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from modeldeck.engines.chat import ChatMessage
from modeldeck.engines.contract import Engine, Tokenizes
from modeldeck.engines.errors import ModeldeckError, RequestRefused
from modeldeck.tui.context_use import ContextUse, estimate, images_in

PATIENCE_S: Final = 2.0
"""An engine that takes longer to count is not waited for."""


async def counted(
    engine: Engine, instance: str, messages: Sequence[ChatMessage], patience_s: float = PATIENCE_S
) -> ContextUse:
    """Count ``messages`` with the model's own vocabulary, images with its own projector.

    An engine that cannot count the images, or not these, counts the words; the images are then
    named as not counted. Nothing is raised: at worst it is an estimate.
    """
    images = images_in(messages)
    if isinstance(engine, Tokenizes):
        try:
            async with asyncio.timeout(patience_s):
                if images:
                    try:
                        return ContextUse(await engine.count_tokens(instance, messages), True)
                    except RequestRefused:
                        messages = [message._replace(images=()) for message in messages]
                tokens = await engine.count_tokens(instance, messages)
                return ContextUse(tokens, True, images)
        except (ModeldeckError, TimeoutError):
            pass
    return ContextUse(estimate(messages), False, images)
