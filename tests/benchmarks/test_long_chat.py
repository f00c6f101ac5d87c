"""A conversation of a thousand messages against one of ten: opening it, each streamed batch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.long_chats import BATCHES, deck_with, open_long

SHORT, LONG = 10, 1000
ROUNDS = 3


@dataclass
class Costs:
    """What one deck took.

    Attributes:
        open_s: from asking for the conversation to its end on the screen.
        batch_ms: processor time of the deck for each streamed batch.
    """

    open_s: float
    batch_ms: float


async def costs(home: Path, messages: int) -> Costs:
    async with deck_with(home, messages) as (deck, conversation):
        begin = time.perf_counter()
        await open_long(deck, conversation, messages)
        opened = time.perf_counter() - begin
        await deck.pilot.pause(0.5)
        deck.app.talk.submit("go on")
        await deck.until(lambda: deck.app.talk.writing_id is not None)
        begin = time.process_time()
        while deck.app.talk.busy:
            await deck.pilot.pause(0.05)
        return Costs(opened, (time.process_time() - begin) * 1000 / BATCHES)


@pytest.mark.bench
async def test_a_thousand_messages_stream_like_ten(
    tmp_path: Path, measured: Callable[..., None]
) -> None:
    found: dict[int, list[Costs]] = {SHORT: [], LONG: []}
    for number in range(ROUNDS):
        for messages in (SHORT, LONG):
            found[messages].append(await costs(tmp_path / f"{messages}-{number}", messages))
    ratios = [
        long.batch_ms / short.batch_ms
        for short, long in zip(found[SHORT], found[LONG], strict=True)
    ]
    measured("a streamed batch, 1,000 messages / 10", *ratios, limit=1.5)
    measured(
        "opening 1,000 messages, s", *(each.open_s for each in found[LONG]), unit="s", limit=1.0
    )
    for messages, each in found.items():
        batch = statistics.median(cost.batch_ms for cost in each)
        opened = statistics.median(cost.open_s for cost in each)
        print(f"{messages} messages: {batch:.1f} ms a batch, opened in {opened:.2f} s")
