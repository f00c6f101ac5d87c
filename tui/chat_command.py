"""``modeldeck chat`` and ``modeldeck demo``: the same reply as in the deck, on standard output."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Generator, Iterator

from modeldeck.engines import demo
from modeldeck.engines.catalog.resolve import resolve
from modeldeck.engines.contract import Engine
from modeldeck.engines.errors import EngineMissing, ModeldeckError, SettingsError
from modeldeck.engines.meter import Rate, Reading
from modeldeck.engines.types import ChatMessage, ChatRequest, LoadedModel, LocalModel, Sampling
from modeldeck.tui.reply import ReplyEnd, ReplyUpdate, run_reply
from modeldeck.tui.services import Services, open_services

DEMO_QUESTION = "What can you do?"
_BATCH_MS = 30


class _Printed:
    """Writes an answer as it comes and keeps it whole for ``--json``."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.text = ""
        self.reasoning = ""

    def take(self, update: ReplyUpdate) -> None:
        self.text += update.text
        self.reasoning += update.reasoning
        if not self._quiet and update.text:
            print(update.text, end="", flush=True)  # noqa: T201


def run_chat(options: argparse.Namespace) -> int:
    """Answer one prompt, or one line after the other. Returns the exit code.

    Raises:
        ModeldeckError: there is no such model, or no engine for it, or it does not load.
    """
    prompts = _prompts(options)
    with open_services(options) as services:
        for problem in services.problems:
            print(f"modeldeck: {problem}", file=sys.stderr)  # noqa: T201
        model = _model(services, options)
        return asyncio.run(_chat(services, model, options, prompts))


def _model(services: Services, options: argparse.Namespace) -> LocalModel:
    name = str(demo.model_path()) if options.command == "demo" else options.model
    model = resolve(services.scan_all().models, name, services.headers)
    if model.problem is not None:
        raise SettingsError(f"{model.name} cannot be used: {model.problem}", "Choose another one.")
    return model


def _prompts(options: argparse.Namespace) -> Iterator[str]:
    """What to ask: the argument, all of standard input, or each line a person types."""
    given: str | None = options.prompt
    if given is not None and given != "-":
        return iter([given])
    if given is None and sys.stdin.isatty():
        if options.json:
            raise SettingsError("--json answers one prompt.", "Give the prompt as an argument.")
        return _typed()
    text = sys.stdin.read().strip()
    if not text:
        raise SettingsError("There is no prompt.", "Give it as an argument or on standard input.")
    return iter([text])


def _typed() -> Iterator[str]:
    while True:
        try:
            line = input("› ").strip()
        except EOFError:
            print(file=sys.stderr)  # noqa: T201
            return
        if line:
            yield line


async def _chat(
    services: Services, model: LocalModel, options: argparse.Namespace, prompts: Iterator[str]
) -> int:
    try:
        engine, loaded = await _load(services, model, options)
        messages = [ChatMessage("system", options.system)] if options.system else []
        sampling = Sampling(
            temperature=options.temperature, seed=options.seed, max_tokens=options.max_tokens
        )
        code = 0
        # A person may think long before the next line: the event loop must not wait with them.
        while (prompt := await asyncio.to_thread(next, prompts, None)) is not None:
            messages.append(ChatMessage("user", prompt))
            printed = _Printed(quiet=options.json)
            request = ChatRequest(loaded.instance, tuple(messages), sampling)
            end = await _answer(engine, request, printed)
            messages.append(ChatMessage("assistant", printed.text))
            if end.error is not None:
                raise end.error
            if options.json:
                print(json.dumps(record(loaded, printed.text, printed.reasoning, end), indent=2))  # noqa: T201
            else:
                print()  # noqa: T201
                print(summary(end.reading), file=sys.stderr)  # noqa: T201
            if end.reason == "cancelled":
                code = 130
                break
        return code
    finally:
        await services.close_engines()


async def _answer(engine: Engine, request: ChatRequest, printed: _Printed) -> ReplyEnd:
    """The answer; ctrl+c stops it and keeps what was written."""
    return await run_reply(engine, request, printed.take, batch_ms=_BATCH_MS)


async def _load(
    services: Services, model: LocalModel, options: argparse.Namespace
) -> tuple[Engine, LoadedModel]:
    hardware, _ = await asyncio.to_thread(services.sample, None)
    settings = services.settings
    problem: ModeldeckError | None = None
    chosen = [services.engine(options.engine)] if options.engine else services.engines
    for engine in chosen:
        if model.format not in engine.info.formats:
            continue
        found = await engine.probe()
        if not found.available:
            problem = problem or EngineMissing(found.problem, found.next_step)
            continue
        plan = services.plan(
            model,
            options.ctx or settings.context_tokens,
            settings.kv_type,
            hardware,
            found.devices,
        )
        with _progress(options) as show:
            return engine, await engine.load(model, plan, lambda step: show(step.stage))
    raise problem or EngineMissing(
        f"No engine here can run {model.format.value.upper()} models.", "See: modeldeck engines."
    )


class _Progress:
    """One line on a terminal's standard error that says how a load goes, and is then taken away."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown

    def __call__(self, stage: str) -> None:
        if self._shown:
            print(f"\r\x1b[K{stage} …", end="", file=sys.stderr, flush=True)  # noqa: T201


@contextlib.contextmanager
def _progress(options: argparse.Namespace) -> Generator[_Progress]:
    shown = sys.stderr.isatty() and not options.json
    try:
        yield _Progress(shown=shown)
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)  # noqa: T201


def record(loaded: LoadedModel, text: str, reasoning: str, end: ReplyEnd) -> dict[str, object]:
    """One answer with the stable keys of ``chat --json``."""
    reading = end.reading
    decode = reading.decode_mean
    return {
        "model": loaded.model.name,
        "engine": loaded.engine,
        "text": text,
        "reasoning": reasoning,
        "prompt_tokens": reading.prompt_tokens,
        "completion_tokens": reading.completion_tokens,
        "ttft_ms": _round(reading.first_token_ns, 1e6),
        "prefill_tps": _round(reading.prefill.tokens_per_second if reading.prefill else None, 1),
        "decode_tps": _round(decode.tokens_per_second if decode else None, 1),
        "source": decode.source if decode else None,
    }


def _round(value: float | None, unit: float) -> float | None:
    return None if value is None else round(value / unit, 3)


def summary(reading: Reading) -> str:
    """The rates of one answer on one line, each with who measured it."""
    parts = [f"decode {_rate(reading.decode_mean)}", f"prefill {_rate(reading.prefill)}"]
    if reading.first_token_ns is not None:
        parts.append(f"first token {reading.first_token_ns / 1e9:.2f} s")
    counts = (reading.prompt_tokens, reading.completion_tokens)
    shown = ["–" if count is None else str(count) for count in counts]
    parts.append(f"tokens {shown[0]} in {shown[1]} out")
    return "   ".join(parts)


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return "–"
    source = "engine" if rate.source == "engine" else "clock"
    return f"{rate.tokens_per_second:.1f} tok/s ({source})"
