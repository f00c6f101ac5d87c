"""``modeldeck chat`` with an engine that follows a script."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import ClassVar

import pytest

from modeldeck.engines import registry
from modeldeck.engines.chat import ChatEvent, ChatRequest
from modeldeck.engines.contract import OnProgress, ignore_progress
from modeldeck.engines.errors import EngineError
from modeldeck.engines.meter import Reading
from modeldeck.engines.scripted import Script, ScriptedEngine
from modeldeck.engines.text import UNSAFE
from modeldeck.engines.types import LoadedModel, LocalModel, Plan
from modeldeck.tui.chat_command import waiting
from modeldeck.tui.cli import main
from tests.support.gguf_files import write_llama
from tests.support.image_files import png

Captured = pytest.CaptureFixture[str]
Ask = Callable[..., int]


@pytest.fixture
def ask(fresh_home: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run ``modeldeck chat`` with a script, on a machine with two models and a broken file."""
    write_llama(fresh_home / "models" / "tiny-one.gguf")
    write_llama(fresh_home / "models" / "tiny-two.gguf")
    (fresh_home / "models" / "torn.gguf").write_bytes(b"GGUF")
    config = fresh_home / "config.toml"
    config.write_text('model_dirs = ["~/models"]\n', encoding="utf-8")

    def run(*words: str, script: Script | None = None, stdin: str = "", engines: int = 1) -> int:
        made = [Seeing(script, sleep=_at_once) for _ in range(engines)]
        no_failures: tuple[EngineError, ...] = ()
        monkeypatch.setattr(registry, "create_all", lambda: (tuple(made), no_failures))
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        return main(["--config", str(config), *words])

    return run


class Seeing(ScriptedEngine):
    """Sees with the model called tiny-two, as if its projector lay beside it; hears all."""

    heard: ClassVar[list[ChatRequest]] = []

    async def load(
        self, model: LocalModel, plan: Plan, on_progress: OnProgress = ignore_progress
    ) -> LoadedModel:
        projector = Path("mmproj.gguf") if model.name == "tiny-two" else None
        return await super().load(model._replace(projector=projector), plan, on_progress)

    def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        self.heard.append(request)
        return super().chat(request)


async def _at_once(seconds: float) -> None:
    """A sleep of no time."""


def test_the_answer_is_on_standard_output_and_the_rates_are_beside_it(
    ask: Ask, capsys: Captured
) -> None:
    assert ask("chat", "-m", "tiny-one", "hi") == 0

    out, err = capsys.readouterr()
    assert out == "Hello, deck.\n"
    assert "tok/s (engine)" in err
    assert "tokens 3 in 4 out" in err


def test_json_is_one_object_with_the_documented_keys(ask: Ask, capsys: Captured) -> None:
    script = Script(answer=("你", "好"), reasoning=("hm", "."))

    assert ask("chat", "-m", "tiny-one", "--json", "hi", script=script) == 0

    out, err = capsys.readouterr()
    record = json.loads(out)
    assert err == ""
    assert (record["text"], record["reasoning"]) == ("你好", "hm.")
    assert (record["model"], record["engine"]) == ("tiny-one", "scripted")
    assert (record["prompt_tokens"], record["completion_tokens"]) == (3, 4)
    assert record["source"] == "engine"
    assert record["ttft_ms"] >= 0
    assert record["decode_tps"] == pytest.approx(1000, rel=0.01)


@pytest.mark.parametrize("words", [[], ["-"]])
def test_the_question_may_come_through_a_pipe(words: list[str], ask: Ask, capsys: Captured) -> None:
    assert ask("chat", "-m", "tiny-one", "--json", *words, stdin="one\ntwo\n") == 0

    assert json.loads(capsys.readouterr().out)["prompt_tokens"] == len("one\ntwo") + 1


def test_limits_and_the_system_prompt_reach_the_engine(ask: Ask, capsys: Captured) -> None:
    assert ask("chat", "-m", "tiny-one", "-n", "2", "-s", "be brief", "--json", "hi") == 0

    record = json.loads(capsys.readouterr().out)
    assert record["text"] == "Hello,"
    assert record["prompt_tokens"] == len("be brief") + 1 + len("hi") + 1


def test_an_answer_cannot_drive_the_terminal(ask: Ask, capsys: Captured) -> None:
    script = Script(answer=("a\x1b]0;title\x07", "[red]b\x9b31m", "\u202ec\r\n"))

    assert ask("chat", "-m", "tiny-one", "hi", script=script) == 0
    plain = capsys.readouterr().out
    assert ask("chat", "-m", "tiny-one", "hi", "--json", script=script) == 0
    listed = capsys.readouterr().out

    assert plain == "a]0;title[red]b31mc\n"
    assert not UNSAFE.search(plain + listed)


@pytest.mark.parametrize(
    ("words", "script", "cause", "next_step"),
    [
        (["-m", "nope", "hi"], None, "no model called “nope”", ""),
        (["-m", "tiny", "hi"], None, "2 models answer to “tiny”", "tiny-one, tiny-two"),
        (["-m", "torn", "hi"], None, "torn cannot be used: ", "modeldeck ls"),
        (["-m", "tiny-one"], None, "There is no prompt", "standard input"),
        (["-m", "tiny-one", "--engine", "x", "hi"], None, "no engine called x", "scripted"),
        (["-m", "tiny-one", "hi"], Script(missing="It is not here."), "It is not here.", "script"),
        (["-m", "tiny-one", "hi"], Script(refuses="It will not."), "It will not.", "else"),
        (
            ["-m", "tiny-one", "hi"],
            Script(broken=frozenset({"tiny-one"})),
            "tiny-one broken",
            "another model",
        ),
    ],
)
def test_what_goes_wrong_is_a_cause_and_a_next_step(
    words: list[str],
    script: Script | None,
    cause: str,
    next_step: str,
    ask: Ask,
    capsys: Captured,
) -> None:
    assert ask("chat", *words, script=script) == 1

    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert out.strip() == ""
    assert first.startswith("modeldeck: ")
    assert cause in first
    assert second.startswith("  next: ")
    assert next_step in second


def test_without_any_engine_it_says_how_to_get_one(ask: Ask, capsys: Captured) -> None:
    assert ask("chat", "-m", "tiny-one", "hi", engines=0) == 1

    assert "modeldeck engines says how to get one." in capsys.readouterr().err


def test_an_engine_that_dies_leaves_what_it_had_said(ask: Ask, capsys: Captured) -> None:
    assert ask("chat", "-m", "tiny-one", "hi", script=Script(dies_after=2)) == 1

    out, err = capsys.readouterr()
    assert out == "Hello,\n"
    assert "has stopped" in err


def test_what_is_waited_for_is_named() -> None:
    assert waiting(Reading(), thinking=False) == "waiting for the first token"
    reading = Reading(phase="prefill", phase_fraction=0.5)
    assert waiting(reading, thinking=False) == "reading the prompt, 50%"
    assert waiting(Reading(completion_tokens=7), thinking=True) == "thinking, 7 tokens"
    assert waiting(reading, thinking=True, silent=True) == "the engine does not answer"


def test_images_go_with_the_first_question(ask: Ask, capsys: Captured, fresh_home: Path) -> None:
    (fresh_home / "cat.png").write_bytes(png(4, 3))
    words = ["--image", "~/cat.png", "--image", str(fresh_home / "cat.png")]

    assert ask("chat", "-m", "tiny-two", *words, "what is this?") == 0

    assert capsys.readouterr().out == "Hello, deck.\n"
    (asked,) = Seeing.heard[-1].messages
    assert [(image.name, image.width) for image in asked.images] == [("cat.png", 4)] * 2


def test_images_that_cannot_be_shown_are_said(ask: Ask, capsys: Captured, fresh_home: Path) -> None:
    (fresh_home / "cat.png").write_bytes(png(4, 3))

    assert ask("chat", "-m", "tiny-one", "--image", "~/cat.png", "what is this?") == 1
    assert "tiny-one sees no images" in capsys.readouterr().err
    assert ask("chat", "-m", "tiny-two", "--image", "~/config.toml", "what is this?") == 1
    assert "no image that models read" in capsys.readouterr().err
    assert ask("chat", "-m", "tiny-two", "--image", "~/gone.png", "what is this?") == 1
    assert "gone.png cannot be read" in capsys.readouterr().err
