"""The packaged demo model answers a new user, through a real llama.cpp."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.chat import ChatMessage
from modeldeck.engines.demo import model_path
from modeldeck.engines.demo.evaluation import (
    Served,
    graded,
    is_right,
    read_questions,
    right_names,
    served,
)
from modeldeck.engines.demo.helptext import HelpText, parse_help_text
from modeldeck.tui.actions import help_digest, help_text

pytestmark = pytest.mark.real

QUESTIONS = read_questions(Path(__file__).with_name("questions.toml").read_text(encoding="utf-8"))
SYSTEM = ChatMessage("system", "You are a helpful assistant.")


@pytest.fixture(scope="module")
def helped() -> HelpText:
    return parse_help_text(json.dumps({**help_text(), "digest": help_digest()}))


@pytest.fixture(scope="module")
def demo() -> Iterator[Served]:
    with served(model_path()) as server:
        yield server


def test_answers_four_of_five_new_questions(demo: Served, helped: HelpText) -> None:
    grades = graded(demo, QUESTIONS, helped)
    wrong = [f"{grade.question.text} -> {grade.answer}" for grade in grades if not grade.right]
    assert len(grades) >= 20
    assert len(wrong) <= len(grades) // 5, "\n".join(wrong)


def test_a_default_system_prompt_does_not_break_it(demo: Served, helped: HelpText) -> None:
    right = [
        is_right(
            demo.ask((SYSTEM, ChatMessage("user", question.text))),
            right_names(helped, question.answers),
        )
        for question in QUESTIONS
    ]
    assert sum(right) >= 15


def test_answers_in_the_middle_of_a_conversation(demo: Served, helped: HelpText) -> None:
    talk = [SYSTEM, ChatMessage("user", "hello")]
    for text, action in (
        ("How do I change the theme?", "everywhere.theme"),
        ("And how do I stop an answer?", "chat.stop"),
        ("How do I start a new chat?", "chat.new"),
    ):
        talk += [ChatMessage("assistant", demo.ask(talk)), ChatMessage("user", text)]
        answer = demo.ask(talk)
        assert is_right(answer, right_names(helped, [action])), answer


def test_a_long_answer_names_every_key(demo: Served, helped: HelpText) -> None:
    answer = demo.ask([ChatMessage("user", "Tell me all the keys")], max_tokens=1500)
    missing = [a.id for a in helped.actions if a.description not in answer]
    assert not missing, answer
    assert all(f"`{key}`" in answer for action in helped.actions for key in action.keys)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hi", "Hello!"),
        ("hello", "Hello!"),
        ("thanks", "welcome"),
        ("what is modeldeck", "terminal deck"),
        ("What is this program?", "terminal deck"),
        ("who are you?", "demo model"),
        ("What can you do?", "keys and commands"),
        ("List all commands", "- `modeldeck ls` "),
        ("What does ctrl+o do?", "switch to another model"),
        ("Can I fine-tune a model?", "no key or command"),
        ("怎麼切換模型?", "English"),
    ],
)
def test_says_what_it_is_and_what_it_can_do(demo: Served, text: str, told: str) -> None:
    answer = demo.ask([ChatMessage("user", text)], max_tokens=300)
    assert told in answer


@pytest.mark.parametrize(
    "text", ["What is the capital of Italy?", "Write me a poem about the sea", "what is 12 times 9"]
)
def test_admits_what_it_does_not_know(demo: Served, text: str) -> None:
    assert "do not know" in demo.ask([ChatMessage("user", text)])


@pytest.mark.parametrize(
    "text", ["為什麼 30B 放不進 12 GB?", "🦙🦙", "ñandú\tß\n\n  x", "\u202eabc\u0301"]
)
def test_any_text_goes_through(demo: Served, text: str) -> None:
    assert demo.tokenize(text)
    assert demo.ask([ChatMessage("user", text)])
