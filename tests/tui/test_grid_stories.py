"""A user looks which quantisation fits at which context, and loads one."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.scripted import ScriptedEngine
from tests.support.decks import dense, open_deck
from tests.support.gguf_files import Q8_0, llama_metadata, llama_tensors, write_gguf
from tests.support.screens import ScreenCheck


@pytest.fixture
def home(fresh_home: Path) -> Path:
    models = fresh_home / "models"
    models.mkdir()
    dense(models, "Model-8B-Q4_K_M", blocks=32, embedding=4096)
    dims = {
        "blocks": 32,
        "embedding": 4096,
        "feed_forward": 14336,
        "heads": 32,
        "kv_heads": 8,
        "tokens": 4096,
    }
    write_gguf(
        models / "Model-8B-Q8_0.gguf",
        llama_metadata(name="Model-8B-Q8_0", context=131072, file_type=7, **dims),
        llama_tensors(ggml_type=Q8_0, tied=False, **dims),
    )
    return fresh_home


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_the_grid_looks_as_it_did(
    home: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    async with open_deck(home, ScriptedEngine(), size=size) as deck:
        await deck.rest()
        await deck.cursor_on("Model-8B-Q8_0")
        await deck.press("g")
        await deck.see("Q8_0 at 8k")
        await deck.press("right", "up")
        await deck.pilot.pause(0.3)
        same_screen(deck.pilot)


async def test_what_is_here_is_told_from_what_is_estimated(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.cursor_on("Model-8B-Q8_0")
        await deck.press("g")
        await deck.see("Q8_0 at 8k")
        rows = {line.split()[0].strip("▌"): line for line in deck.text.splitlines() if "_" in line}
        rows |= {line.split()[1]: line for line in deck.text.splitlines() if "▌" in line}
        assert "~" in rows["Q6_K"].split("●")[0]
        assert "~" not in rows["Q8_0"].split("●")[0]
        assert "~" not in rows["Q4_K_M"].split("●")[0]


async def test_a_cell_is_loaded_with_its_context(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.cursor_on("Model-8B-Q8_0")
        await deck.press("g")
        await deck.see("Q8_0 at 8k")
        await deck.press("right", "enter")
        await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
        loaded = deck.app.state.loaded
        assert loaded is not None
        assert loaded.model.name == "Model-8B-Q8_0"
        assert loaded.plan.context_tokens == 16384


async def test_what_is_not_here_cannot_be_loaded(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.cursor_on("Model-8B-Q8_0")
        await deck.press("g")
        await deck.see("Q8_0 at 8k")
        assert "enter use" in deck.text
        await deck.press("up")
        await deck.see("Q6_K at 8k")
        assert "enter use" not in deck.text
        await deck.press("enter")
        assert deck.app.state.loading is None
        await deck.press("escape")
        await deck.see("VERDICT")


async def test_another_card_is_another_grid(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.cursor_on("Model-8B-Q8_0")
        await deck.press("v")
        await deck.see("verdicts for")
        await deck.type("RTX 4090")
        await deck.press("enter")
        await deck.see("what if RTX 4090 24GB")
        await deck.press("g")
        await deck.see("what if RTX 4090 24GB, ")
        await deck.press("escape", "v")
        await deck.type("this one")
        await deck.press("enter")
        await deck.see("card this one")
