"""What this deck's own engine holds of the card counts as free; what others hold does not."""

from __future__ import annotations

import os
from pathlib import Path

from modeldeck.engines.hardware.types import GpuProcess
from modeldeck.engines.scripted import ScriptedEngine
from tests.support.decks import GIB, QUIET, QuietServices, dense, open_deck

USED = 7 * GIB
CARD = QUIET.gpus[0]._replace(
    memory_used_bytes=USED + (382 << 20),
    memory_free_bytes=(11906 << 20) - USED,
    memory_reserved_bytes=382 << 20,
)


class Held(QuietServices):
    """A card that the deck's engine, vLLM and another deck share."""

    snapshot = QUIET._replace(
        gpus=(
            CARD._replace(
                processes=(
                    GpuProcess(70, "Mistral-7B", 5 * GIB, deck=os.getpid()),
                    GpuProcess(71, "vLLM", GIB),
                    GpuProcess(72, "Phi-4", GIB, deck=1),
                ),
            ),
        ),
    )


async def test_the_bill_names_the_others_and_frees_what_the_deck_holds(fresh_home: Path) -> None:
    (fresh_home / "models").mkdir()
    dense(fresh_home / "models", "Llama-3.1-8B", blocks=32, embedding=4096)
    async with open_deck(fresh_home, ScriptedEngine(), services_class=Held) as deck:
        await deck.rest()
        await deck.cursor_on("Llama-3.1-8B")
        await deck.see("in use         2.00  by others now")
        await deck.see("vLLM 1.00, Phi-4 1.00")
        card = deck.app.state.card
        assert card is not None
        assert card.free_bytes == (11906 << 20) - 2 * GIB
