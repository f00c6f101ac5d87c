"""The short check of an engine: what it tries, what it finds, and that nothing stays loaded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from modeldeck.engines.chat import ChatEvent, ChatRequest, Done, Usage
from modeldeck.engines.scripted import Script, ScriptedEngine
from modeldeck.engines.trial import try_engine
from modeldeck.engines.types import LoadedModel, LocalModel, ModelFormat, Plan, Source

MODEL = LocalModel(
    "good", Path("good.gguf"), (Path("good.gguf"),), Source.FOLDER, ModelFormat.GGUF, 1
)
PLAN = Plan(context_tokens=512)
QUICK = Script(answer=("a", "b", "c", "d", "e", "f", "g"))


async def tried(engine: ScriptedEngine, patience_s: float = 10.0) -> tuple[list[str], str]:
    trial = await try_engine(engine, MODEL, PLAN, patience_s=patience_s)
    assert (trial.engine, trial.model) == ("scripted", "good")
    failure = trial.failure
    if failure is not None:
        assert failure.next_step
    return [step.name for step in trial.steps], failure.problem if failure else ""


@pytest.mark.asyncio
async def test_an_engine_that_works_is_taken_through_the_contract() -> None:
    engine = ScriptedEngine(QUICK)
    trial = await try_engine(engine, MODEL, PLAN)
    assert trial.failure is None
    remarks = {step.name: step.remark for step in trial.steps}
    assert list(remarks) == ["load", "answer", "counts", "tokenize", "unload"]
    assert remarks["load"] == "512 tokens of context"
    assert remarks["answer"] == "in 5 pieces"
    assert remarks["counts"].endswith("in, 5 out, by its own clock")
    assert not await engine.models()


class Odd(ScriptedEngine):
    """Counts, ends or unloads as no engine should."""

    def __init__(self, oddity: str) -> None:
        super().__init__(QUICK)
        self.oddity = oddity

    async def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        async for event in super().chat(request):
            if isinstance(event, Usage):
                if self.oddity == "many":
                    yield event._replace(completion_tokens=50)
                elif self.oddity == "no prompt":
                    yield event._replace(prompt_tokens=0)
                elif self.oddity != "uncounted":
                    yield event
            elif not (isinstance(event, Done) and self.oddity == "no end"):
                yield event

    async def models(self) -> tuple[LoadedModel, ...]:
        return () if self.oddity == "not held" else tuple(await super().models())

    async def tokenize(self, instance: str, text: str) -> tuple[int, ...]:
        return () if self.oddity == "no tokens" else await super().tokenize(instance, text)

    async def unload(self, instance: str) -> None:
        if self.oddity != "kept":
            await super().unload(instance)

    async def load(self, *args: object, **more: object) -> LoadedModel:
        if self.oddity == "hangs":
            await asyncio.sleep(3600)
        return await super().load(MODEL, PLAN)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("oddity", "failed_in", "words"),
    [
        ("many", "counts", "asked for 5 tokens and counts 50"),
        ("no prompt", "counts", "no tokens of the question"),
        ("no end", "answer", "had no end"),
        ("not held", "load", "does not say that it holds it"),
        ("no tokens", "tokenize", "into no tokens"),
        ("kept", "unload", "holds it still"),
        ("uncounted", "", ""),
    ],
)
async def test_what_is_odd_is_found(oddity: str, failed_in: str, words: str) -> None:
    engine = Odd(oddity)
    trial = await try_engine(engine, MODEL, PLAN)
    failure = trial.failure
    assert (failure.name if failure else "") == failed_in
    assert words in (failure.problem if failure else "")
    assert trial.steps[-1].name == "unload"
    if oddity != "kept":
        assert not await ScriptedEngine.models(engine)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("script", "steps", "words"),
    [
        (Script(broken=frozenset({"good"})), ["load"], "good"),
        (Script(refuses="It is asleep."), ["load", "answer", "unload"], "It is asleep."),
        (Script(answer=()), ["load", "answer", "unload"], "answered nothing"),
        (Script(dies_after=2), ["load", "answer", "unload"], "has stopped"),
    ],
)
async def test_an_engine_that_fails_says_where(
    script: Script, steps: list[str], words: str
) -> None:
    engine = ScriptedEngine(script)
    names, problem = await tried(engine)
    assert (names, words in problem) == (steps, True)
    assert not await engine.models()


@pytest.mark.asyncio
async def test_one_that_hangs_is_given_up_on() -> None:
    names, problem = await tried(Odd("hangs"), patience_s=0.05)
    assert names == ["load"]
    assert "more than" in problem


@pytest.mark.asyncio
async def test_a_check_that_is_called_off_gives_the_memory_back() -> None:
    speaking = asyncio.Event()

    async def sleep(seconds: float) -> None:
        if seconds > 1:
            speaking.set()
            await asyncio.Event().wait()

    engine = ScriptedEngine(Script(decode_token_ns=3_600_000_000_000), sleep=sleep)
    check = asyncio.create_task(try_engine(engine, MODEL, PLAN))
    await speaking.wait()
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check
    assert not await engine.models()
