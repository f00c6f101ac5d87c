"""The demo model's training text: every key has words, no held-out question is among them."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import cast

import pytest

from modeldeck.engines.chat import ChatMessage
from modeldeck.engines.demo import card_path
from modeldeck.engines.demo.card import read_card
from modeldeck.engines.demo.corpus import check_questions, conversations, read_corpus
from modeldeck.engines.demo.evaluation import is_right, read_questions, right_names
from modeldeck.engines.demo.helptext import HelpText, parse_help_text
from modeldeck.engines.errors import FormatError
from modeldeck.tui.actions import help_digest, help_text

PHRASES = card_path().with_name("phrases.toml").read_text(encoding="utf-8")
QUESTIONS = read_questions(Path(__file__).with_name("questions.toml").read_text(encoding="utf-8"))


def _help() -> dict[str, object]:
    return {**help_text(), "digest": help_digest()}


def _changed(**parts: object) -> HelpText:
    return parse_help_text(json.dumps({**_help(), **parts}))


HELP = _changed()


Talk = tuple[ChatMessage, ...]


@pytest.fixture(scope="module")
def trained() -> list[Talk]:
    """Exactly the conversations the packaged model has seen."""
    recipe = read_card(card_path()).recipe
    drawn = conversations(read_corpus(HELP, PHRASES), int(recipe["seed"]))
    return list(itertools.islice(drawn, int(recipe["conversations"])))


@pytest.fixture(scope="module")
def asked(trained: list[Talk]) -> set[frozenset[str]]:
    """The words of every question the packaged model was trained on."""
    return {words(m.content) for talk in trained for m in talk if m.role == "user"}


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower().replace("'", "")))


def test_no_held_out_question_is_in_the_training_text(asked: set[frozenset[str]]) -> None:
    assert len(asked) > 10_000
    assert not [question.text for question in QUESTIONS if words(question.text) in asked]


def test_the_held_out_questions_ask_for_keys_and_commands_that_exist() -> None:
    assert len(QUESTIONS) >= 20
    for question in QUESTIONS:
        assert right_names(HELP, question.answers)


def test_every_key_and_command_is_asked_for_and_named_as_the_deck_writes_it(
    trained: list[Talk],
) -> None:
    seen: set[str] = set()
    for talk in trained[:3000]:
        seen.update(m.content for m in talk if m.role == "assistant")
    for action in HELP.actions:
        keys = " or ".join(f"`{key}`" for key in action.keys)
        assert any(
            said.startswith(f"Press {keys} ") and said.endswith(f": {action.description}.")
            for said in seen
        ), action.id
    for command in HELP.commands:
        assert any(said.startswith(f"Run `{command.name}`") for said in seen), command.name


def test_conversations_alternate_after_an_optional_system_prompt(trained: list[Talk]) -> None:
    shapes: set[tuple[str, ...]] = set()
    for talk in trained[:2000]:
        roles = tuple(m.role for m in talk)
        shapes.add(roles)
        turns = roles[1:] if roles[0] == "system" else roles
        assert turns == ("user", "assistant") * (len(turns) // 2)
        assert all(m.content for m in talk)
    assert ("user", "assistant") in shapes
    assert any(roles[0] == "system" and len(roles) > 3 for roles in shapes)


def test_the_same_seed_draws_the_same_corpus() -> None:
    corpus = read_corpus(HELP, PHRASES)
    one, two, other = (
        list(itertools.islice(conversations(corpus, seed), 50)) for seed in (1, 1, 2)
    )
    assert one == two != other


def test_held_out_phrases_are_not_drawn_for_training(asked: set[frozenset[str]]) -> None:
    checks = check_questions(read_corpus(HELP, PHRASES), seed=3, per_topic=4)
    assert len(checks) > 100
    assert not [text for text, _ in checks if words(text) in asked]


@pytest.mark.parametrize(
    ("part", "row", "named"),
    [
        (
            "actions",
            {"id": "chat.fly", "place": "chat", "keys": ["f"], "description": "fly"},
            "chat.fly",
        ),
        (
            "actions",
            {"id": "chat.stop", "place": "moon", "keys": ["f"], "description": "fly"},
            "moon",
        ),
        ("commands", {"name": "modeldeck fly", "description": "fly"}, "modeldeck fly"),
    ],
)
def test_a_key_nobody_has_words_for_is_an_error(
    part: str, row: dict[str, object], named: str
) -> None:
    rows = cast("list[dict[str, object]]", _help()[part])
    with pytest.raises(FormatError, match=named):
        read_corpus(_changed(**{part: [*rows, row]}), PHRASES)


def test_words_for_a_key_that_is_gone_are_an_error() -> None:
    rows = cast("list[dict[str, object]]", _help()["actions"])
    with pytest.raises(FormatError, match=str(rows[0]["id"])):
        read_corpus(_changed(actions=rows[1:]), PHRASES)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"actions": 3, "commands": [], "digest": "x"}'])
def test_a_help_text_of_another_kind_is_an_error(text: str) -> None:
    with pytest.raises(FormatError) as error:
        parse_help_text(text)
    assert "modeldeck keys --json" in error.value.next_step


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Press `esc` in the chat.", True),
        ("Press `q` or `esc`.", False),
        ("Press `q`.", False),
        ("Press esc.", False),
        ("I do not know.", False),
    ],
)
def test_grading_wants_the_right_key_and_no_other(answer: str, right: bool) -> None:
    assert is_right(answer, {"esc"}) is right
