"""A user changes how a model is loaded, watches the bill, and loads it like that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.fit.search import Answer, answer
from modeldeck.engines.fit.types import Card
from modeldeck.engines.scripted import ScriptedEngine
from modeldeck.engines.types import Device, Draft, LoadedModel, LocalModel, ModelHeader, Plan, Probe
from modeldeck.tui.screens import options as options_screen
from modeldeck.tui.screens.options import OptionsScreen
from tests.support.bytes_sent import bytes_sent
from tests.support.decks import Deck, dense, open_deck
from tests.support.gguf_files import Tensor, Value, write_gguf
from tests.support.screens import ScreenCheck

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


@pytest.fixture
def home(fresh_home: Path) -> Path:
    models = fresh_home / "models"
    models.mkdir()
    dense(models, "Middle-14B", blocks=40, embedding=5120)
    return fresh_home


class OnTheCard(ScriptedEngine):
    """A scripted engine that says it has a card."""

    async def probe(self) -> Probe:
        probe = await super().probe()
        return Probe(probe.available, probe.build, devices=(Device("CUDA0", "RTX", None, None),))


async def open_options(deck: Deck) -> OptionsScreen:
    await deck.rest()
    await deck.cursor_on("Middle-14B")
    await deck.press("o")
    await deck.see("layers on GPU")
    screen = deck.app.screen
    assert isinstance(screen, OptionsScreen)
    return screen


def line_with(deck: Deck, words: str) -> str:
    return next(line for line in deck.text.splitlines() if words in line)


@SIZES
async def test_the_options_look_as_they_did(
    home: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    async with open_deck(home, ScriptedEngine(), size=size) as deck:
        await open_options(deck)
        await deck.press("right", "right", "down", "down", "left")
        await deck.pilot.pause(0.3)
        same_screen(deck.pilot)


async def test_opening_prices_the_model_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    priced: list[FitOptions] = []

    def counted(header: ModelHeader, options: FitOptions, card: Card, **rest: Any) -> Answer:
        priced.append(options)
        return answer(header, options, card, **rest)

    monkeypatch.setattr(options_screen, "answer", counted)
    async with open_deck(home, ScriptedEngine()) as deck:
        await open_options(deck)
        assert len(priced) == 1
        await deck.press("right")
        assert len(priced) == 2


async def test_every_step_is_priced_at_once(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await open_options(deck)
        assert "● fits" in deck.text
        assert "1.25  8k f16" in deck.text
        await deck.press("right")
        assert "2.50  16k f16" in deck.text
        await deck.press("down", "right", "right", "right", "right")
        assert "q4_0" in deck.text or "q5" in deck.text
        await deck.press("down", "left")
        assert "39 of 40" in line_with(deck, "layers on GPU")
        assert "39 of 40 layers" in deck.text


async def test_what_was_set_is_what_is_loaded(home: Path) -> None:
    async with open_deck(home, OnTheCard()) as deck:
        await open_options(deck)
        await deck.press("down", "right", "down", "down", *["left"] * 3, "enter")
        await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
        loaded = deck.app.state.loaded
        assert loaded is not None
        assert loaded.plan.context_tokens == 8192
        assert loaded.plan.kv_type == "bf16"
        assert loaded.plan.micro_batch_tokens == 64


async def test_a_field_can_be_planned_again(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await open_options(deck)
        await deck.press("down", "down")
        assert "auto" in line_with(deck, "layers on GPU")
        await deck.press("left", "left")
        assert "auto" not in line_with(deck, "layers on GPU")
        await deck.press("backspace")
        assert "all 40" in line_with(deck, "layers on GPU")


async def test_esc_goes_back_and_changes_nothing(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await open_options(deck)
        await deck.press("right", "escape")
        await deck.see("ctx 8k")
        assert deck.app.state.loaded is None


async def test_the_command_has_the_options(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Launching(OnTheCard):
        def launch_command(self, model: LocalModel, plan: Plan) -> tuple[str, ...]:
            return ("serve", model.name, "-c", str(plan.context_tokens), "-ctk", plan.kv_type)

    with bytes_sent(monkeypatch) as sent:
        async with open_deck(home, Launching()) as deck:
            await open_options(deck)
            await deck.press("right", "down", "right")
            sent.reset()
            await deck.press("y")
            await deck.see("opied")
            import base64

            copied = sent.text.split("]52;c;")[1].split("\x07")[0]
            assert base64.b64decode(copied) == b"serve Middle-14B -c 16384 -ctk bf16"


async def test_a_loaded_model_is_loaded_again_with_other_options(home: Path) -> None:
    async with open_deck(home, OnTheCard()) as deck:
        await deck.rest()
        await deck.cursor_on("Middle-14B")
        await deck.press("enter")
        await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
        first: LoadedModel | None = deck.app.state.loaded
        await deck.press("escape", "1")
        await open_options(deck)
        await deck.press("left", "enter")
        await deck.until(lambda: deck.app.state.loaded not in (None, first), "the other load")
        loaded = deck.app.state.loaded
        assert loaded is not None
        assert loaded.plan.context_tokens == 4096


@pytest.fixture
def family(home: Path) -> Path:
    """A smaller model of the same family, and an adapter."""
    dense(home / "models", "Small-1B", blocks=16, embedding=2048)
    said: dict[str, Value] = {
        "general.type": "adapter",
        "general.architecture": "llama",
        "adapter.type": "lora",
    }
    shapes = {"lora_a": (5120, 64), "lora_b": (64, 5120)}
    tensors = [Tensor(f"blk.0.attn_q.weight.{part}", shape) for part, shape in shapes.items()]
    write_gguf(home / "models" / "my-lora.gguf", said, tensors)
    return home


@SIZES
async def test_a_draft_and_an_adapter_are_chosen_priced_and_loaded(
    family: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    async with open_deck(family, OnTheCard(), size=size) as deck:
        await open_options(deck)
        await deck.see("adapter")
        assert "none" in line_with(deck, "draft ")
        await deck.press(*["down"] * 6, "right")
        assert "Small-1B" in line_with(deck, "draft ")
        await deck.press("down", "right")
        assert "my-lora" in line_with(deck, "adapter")
        assert "draft, lora" in deck.text
        await deck.pilot.pause(0.3)
        same_screen(deck.pilot)
        await deck.press("enter")
        await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
        loaded = deck.app.state.loaded
        assert loaded is not None
        models = family / "models"
        assert loaded.plan.draft == Draft(str(models / "Small-1B.gguf"))
        assert loaded.plan.adapters == (str(models / "my-lora.gguf"),)


async def test_a_draft_that_has_gone_is_said_and_given_up(family: Path) -> None:
    async with open_deck(family, OnTheCard()) as deck:
        await open_options(deck)
        await deck.see("adapter")
        await deck.press(*["down"] * 6)
        (family / "models" / "Small-1B.gguf").unlink()
        await deck.press("right")
        await deck.see("Small-1B")
        await deck.see("nothing that can be read")
        assert "none" in line_with(deck, "draft ")
