"""``modeldeck chat`` and ``modeldeck demo``: the same reply as in the deck, on standard output."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType

from modeldeck.engines import demo
from modeldeck.engines.catalog.resolve import resolve
from modeldeck.engines.chat import ChatMessage, ChatRequest, Image, Sampling
from modeldeck.engines.contract import Engine
from modeldeck.engines.errors import (
    EngineMissing,
    RequestRefused,
    SettingsError,
)
from modeldeck.engines.images import read_image
from modeldeck.engines.meter import Rate, Reading
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LoadedModel, LocalModel
from modeldeck.tui.opening import open_services
from modeldeck.tui.printing import complain, emit, report
from modeldeck.tui.reply import ReplyEnd, ReplyUpdate, run_reply
from modeldeck.tui.services import Services
from modeldeck.tui.sight import blind_words

_BATCH_MS = 30
_MARK = "› "


def run_chat(options: argparse.Namespace) -> int:
    """Answer one prompt, or one line after the other. Returns the exit code.

    Ctrl+c stops an answer that is being written; at any other time, and SIGTERM and SIGHUP at any
    time, it ends the command, with the model unloaded.

    Raises:
        ModeldeckError: there is no such model, or no engine for it, or it does not load; or an
            image cannot be read, or not be seen by the model.
    """
    prompts = None if _typing(options) else iter([_prompt(options)])
    images = tuple(read_image(Path(name).expanduser()) for name in options.image)
    with _Ending() as ending, open_services(options) as services:
        for problem in (*services.problems, *services.find_engines().problems):
            complain(problem)
        model = _model(services, options)
        # The runner turns ctrl+c into the cancelling of what it runs. Between two runs a person
        # types, in this thread, where ctrl+c ends the reading.
        with asyncio.Runner() as runner:
            try:
                engine, loaded = runner.run(_load(services, model, options))
                if images and not loaded.sees_images:
                    raise SettingsError(*blind_words(loaded))
                if prompts is None:
                    complain(f"{model.name} is ready. Ctrl+c stops an answer, ctrl+d ends.")
                talk = _Talk(runner, engine, loaded, images, options)
                for prompt in prompts or _typed():
                    code = talk.ask(prompt, go_on=prompts is None and ending.number is None)
                    if ending.number is not None or (code and prompts is not None):
                        return ending.exit_code or code
                return 0
            except KeyboardInterrupt:
                return ending.exit_code or 128 + signal.SIGINT
            finally:
                runner.run(services.close_engines())


class _Ending:
    """While entered, SIGTERM and SIGHUP interrupt as ctrl+c does, and are remembered."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before = contextlib.ExitStack()

    @property
    def exit_code(self) -> int:
        """128 and the signal's number; 0 when none came."""
        return 0 if self.number is None else 128 + self.number

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        interrupt = signal.getsignal(signal.SIGINT)
        if not callable(interrupt):  # ctrl+c is not for a command in the background
            raise KeyboardInterrupt
        interrupt(signal.SIGINT, frame)

    def __enter__(self) -> _Ending:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                self._before.callback(signal.signal, number, signal.signal(number, self._take))
        return self

    def __exit__(self, *_: object) -> None:
        self._before.close()


def _model(services: Services, options: argparse.Namespace) -> LocalModel:
    name = str(demo.model_path()) if options.command == "demo" else options.model
    model = resolve(services.scan_all().models, name, services.headers)
    if model.problem is not None:
        raise SettingsError(
            f"{model.name} cannot be used: {model.problem}", "Choose another one: modeldeck ls."
        )
    return model


def _typing(options: argparse.Namespace) -> bool:
    """Whether a person at a terminal is to be asked for one line after the other."""
    return options.prompt is None and not options.json and sys.stdin.isatty()


def _prompt(options: argparse.Namespace) -> str:
    """The prompt on the command line, else all of standard input. Raises SettingsError."""
    given: str | None = options.prompt
    if given is None and sys.stdin.isatty():
        raise SettingsError("--json answers one prompt.", "Give the prompt as an argument.")
    text = sys.stdin.read() if given is None or given == "-" else given
    if not text.strip():
        raise SettingsError("There is no prompt.", "Give it as an argument or on standard input.")
    return text.strip()


def _typed() -> Iterator[str]:
    """Each line that a person types, until ctrl+d."""
    with contextlib.suppress(ImportError):
        importlib.import_module("readline")  # input() then has a history and can be edited
    mark = _MARK
    while True:
        if not sys.stdout.isatty():
            print(_MARK, end="", file=sys.stderr, flush=True)  # noqa: T201
            mark = ""
        try:
            line = input(mark).strip()
        except (EOFError, KeyboardInterrupt) as end:
            print(file=sys.stderr)  # noqa: T201
            if isinstance(end, EOFError):
                return
            raise
        if line:
            yield line


class _Talk:
    """A conversation with a loaded model, one question at a time."""

    def __init__(
        self,
        runner: asyncio.Runner,
        engine: Engine,
        loaded: LoadedModel,
        images: tuple[Image, ...],
        options: argparse.Namespace,
    ) -> None:
        self._images = images
        self._runner = runner
        self._engine = engine
        self._loaded = loaded
        self._json: bool = options.json
        self._messages = [ChatMessage("system", options.system)] if options.system else []
        self._sampling = Sampling(
            temperature=options.temperature, seed=options.seed, max_tokens=options.max_tokens
        )

    def ask(self, prompt: str, *, go_on: bool) -> int:
        """Print the answer. Returns the exit code.

        Args:
            prompt: the question.
            go_on: a refused request is said, not raised: the next one may be shorter.

        Raises:
            ModeldeckError: the engine failed; what it had answered is printed.
            OSError: the answer cannot be printed; the engine has stopped.
        """
        asked = (*self._messages, ChatMessage("user", prompt, self._images))
        request = ChatRequest(self._loaded.instance, asked, self._sampling)
        printed = _Printed(quiet=self._json)
        end = self._runner.run(_answer(self._engine, request, printed))
        printed.finish()
        if end.error is not None:
            if not (go_on and isinstance(end.error, RequestRefused)):
                raise end.error
            report(end.error)
            return 1
        self._messages, self._images = [*asked, ChatMessage("assistant", printed.text)], ()
        if self._json:
            emit(record(self._loaded, printed.text, printed.reasoning, end))
        else:
            print(summary(end.reading), file=sys.stderr)  # noqa: T201
        return 128 + signal.SIGINT if end.reason == "cancelled" else 0


async def _answer(engine: Engine, request: ChatRequest, printed: _Printed) -> ReplyEnd:
    """The answer; being cancelled stops it and keeps what was written."""
    task = asyncio.current_task()
    if task is not None:
        printed.on_failure = task.cancel
    return await run_reply(engine, request, printed.take, batch_ms=_BATCH_MS)


class _Printed:
    """Writes an answer as it comes and keeps it whole for ``--json``.

    Attributes:
        text: the answer so far.
        reasoning: the model's reasoning so far; it is not printed, but that it goes on is shown.
        on_failure: called once when standard output takes no more.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.text = ""
        self.reasoning = ""
        self.on_failure: Callable[[], object] = lambda: None
        self._quiet = quiet
        self._failure: OSError | None = None
        self._status = _Status(shown=not quiet and sys.stderr.isatty())

    def take(self, update: ReplyUpdate) -> None:
        """The next piece; never raises."""
        self.text += update.text
        self.reasoning += update.reasoning
        if self._quiet or self._failure is not None:
            return
        if not self.text:
            thinking = bool(self.reasoning)
            self._status.show(waiting(update.reading, thinking=thinking, silent=update.silent))
        elif update.text:
            self._status.clear()
            try:
                print(update.text, end="", flush=True)  # noqa: T201
            except OSError as error:
                self._failure = error
                self.on_failure()

    def finish(self) -> None:
        """End the last line. Raises OSError: standard output took no more."""
        self._status.clear()
        if self._failure is not None:
            raise self._failure
        if not self._quiet and not self.text.endswith("\n"):
            print(flush=True)  # noqa: T201


def waiting(reading: Reading, *, thinking: bool, silent: bool = False) -> str:
    """What goes on before the first word of the answer."""
    if silent:
        return "the engine does not answer"
    if thinking:
        return f"thinking, {reading.completion_tokens or 0} tokens"
    if reading.phase_fraction is not None and reading.phase == "prefill":
        return f"reading the prompt, {reading.phase_fraction:.0%}"
    return "waiting for the first token"


class _Status:
    """One line on a terminal's standard error that is rewritten in place and then taken away."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._text = ""

    def show(self, text: str) -> None:
        if self._shown and text != self._text:
            self._text = text
            print(f"\r\x1b[K{clean_line(text, 60)} …", end="", file=sys.stderr, flush=True)  # noqa: T201

    def clear(self) -> None:
        if self._text:
            self._text = ""
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)  # noqa: T201


@contextlib.contextmanager
def _status(options: argparse.Namespace) -> Generator[_Status]:
    status = _Status(shown=sys.stderr.isatty() and not options.json)
    try:
        yield status
    finally:
        status.clear()


async def _load(
    services: Services, model: LocalModel, options: argparse.Namespace
) -> tuple[Engine, LoadedModel]:
    hardware, _ = await asyncio.to_thread(services.sample, None)
    settings = services.settings
    if options.engine:
        engine = services.engine(options.engine)
        probe = await engine.probe()
        if not probe.available:
            raise EngineMissing(probe.problem, probe.next_step)
        if not engine.info.runs(model):
            raise EngineMissing(
                f"{engine.info.title} does not run {model.format.written} from here.",
                "Leave --engine out to have one chosen.",
            )
        devices = probe.devices
    else:
        wanted = services.wishes.engines().get(model.name)
        engine, devices = await services.engine_for(model, wanted)
    given = services.wishes.profile(model, engine.info.name)
    if given is not None and options.ctx:
        given = replace(given, context_tokens=options.ctx)
    plan = services.plan(
        model,
        options.ctx or settings.context_tokens,
        settings.kv_type,
        hardware,
        devices,
        given,
    )
    with _status(options) as status:
        loaded = await engine.load(model, plan, lambda step: status.show(step.stage))
    await asyncio.to_thread(services.learn_memory, loaded)
    return engine, loaded


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
