"""A real vision model, though a random one: what it is shown changes what it says."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from modeldeck.engines.chat import ChatMessage, ChatRequest, Image, Sampling, TextDelta, Usage
from modeldeck.engines.errors import LoadFailed, RequestRefused
from modeldeck.engines.images import image_of
from modeldeck.engines.types import LocalModel, Plan
from tests.support.image_files import png
from tests.support.random_projector import IMAGE_TOKENS

pytestmark = pytest.mark.real

RED = image_of("red.png", png(64, 48, (255, 0, 0)))
BLUE = image_of("blue.png", png(64, 48, (0, 40, 255)))
PLAN = Plan(context_tokens=512, gpu_layers=0)


@pytest.fixture
async def engine() -> AsyncGenerator[LlamaServerEngine]:
    engine = LlamaServerEngine()
    yield engine
    await engine.close()


async def say(engine: LlamaServerEngine, instance: str, *images: Image) -> tuple[str, int]:
    """The answer without any chance in it, and the tokens of the prompt."""
    asked = (ChatMessage("user", "What do you see?", images),)
    text, tokens = "", 0
    request = ChatRequest(instance, asked, Sampling(temperature=0.0, max_tokens=8))
    async with aclosing(engine.chat(request)) as events:
        async for event in events:
            match event:
                case TextDelta():
                    text += event.text
                case Usage():
                    tokens = event.prompt_tokens
                case _:
                    pass
    return text, tokens


async def test_an_image_takes_its_patches_and_changes_the_answer(
    engine: LlamaServerEngine, seeing_model: LocalModel
) -> None:
    loaded = await engine.load(seeing_model, PLAN)
    assert loaded.sees_images

    nothing, without = await say(engine, loaded.instance)
    red, with_red = await say(engine, loaded.instance, RED)
    blue, with_blue = await say(engine, loaded.instance, BLUE)

    assert with_red == with_blue == without + IMAGE_TOKENS
    asked = ChatMessage("user", "What do you see?", (RED,))
    assert await engine.count_tokens(loaded.instance, (asked,)) == with_red
    assert len({nothing, red, blue}) == 3
    assert (await say(engine, loaded.instance, RED))[0] == red


async def test_a_model_without_a_projector_refuses_an_image_in_words(
    engine: LlamaServerEngine, seeing_model: LocalModel
) -> None:
    loaded = await engine.load(seeing_model._replace(projector=None), PLAN)
    assert not loaded.sees_images

    with pytest.raises(RequestRefused) as refused:
        await say(engine, loaded.instance, RED)

    assert refused.value.next_step
    assert (await say(engine, loaded.instance))[0]


async def test_a_file_that_is_no_image_after_all_is_refused_in_words(
    engine: LlamaServerEngine, seeing_model: LocalModel
) -> None:
    loaded = await engine.load(seeing_model, PLAN)
    cut = image_of("cut.png", RED.data[:40])

    with pytest.raises(RequestRefused):
        await say(engine, loaded.instance, cut)
    with pytest.raises(RequestRefused):
        await engine.count_tokens(loaded.instance, (ChatMessage("user", "?", (cut,)),))

    assert (await say(engine, loaded.instance, RED))[0]


async def test_a_broken_projector_fails_the_load_with_a_reason(
    engine: LlamaServerEngine, seeing_model: LocalModel, tmp_path: Path
) -> None:
    assert seeing_model.projector is not None
    broken = tmp_path / "mmproj.gguf"
    broken.write_bytes(seeing_model.projector.read_bytes()[:2000])

    with pytest.raises(LoadFailed) as failed:
        await engine.load(seeing_model._replace(projector=broken), PLAN)

    assert failed.value.next_step


def test_the_command_to_copy_names_the_projector(seeing_model: LocalModel) -> None:
    words = LlamaServerEngine().launch_command(seeing_model, PLAN)

    assert words[words.index("--mmproj") + 1] == str(seeing_model.projector)
