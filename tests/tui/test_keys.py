from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.keys import (
    _character_to_key,  # pyright: ignore[reportPrivateUsage]  # what the terminal's keys are called
)

from modeldeck.engines.text import clean
from modeldeck.tui.actions import ACTIONS
from modeldeck.tui.keys import key_code, key_name


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("?", "question_mark"),
        ("/", "slash"),
        ("-", "minus"),
        ("+", "plus"),
        (" ", "space"),
        ("Esc", "escape"),
        ("Return", "enter"),
        ("page up", "pageup"),
        ("PgDn", "pagedown"),
        ("F5", "f5"),
        ("ctrl+o", "ctrl+o"),
        ("Control + O", "ctrl+o"),
        ("ctrl++", "ctrl+plus"),
        ("ctrl+/", "ctrl+slash"),
        ("shift+ctrl+left", "ctrl+shift+left"),
        ("g", "g"),
        ("G", "G"),
        ("shift+g", "G"),
        ("é", "é"),
        ("full_stop", "full_stop"),
        ("", None),
        ("ctrl+", None),
        ("+x", None),
        ("foo", None),
        ("hyper+x", None),
        ("\x1b", None),
        ("latin_small_letter_a", None),
    ],
)
def test_a_key_is_understood_as_people_write_it(written: str, code: str | None) -> None:
    assert key_code(written) == code


def test_every_printable_key_is_called_what_textual_calls_it() -> None:
    for character in string.printable:
        if character.isprintable():
            assert key_code(character) == _character_to_key(character)


def test_every_default_key_can_be_written_as_it_is_shown() -> None:
    for action in ACTIONS:
        for key in action.keys:
            assert key_code(key) == key
            assert key_code(key_name(key)) == key


modifiers = st.lists(st.sampled_from(["ctrl+", "shift+", "alt+"]), max_size=3).map("".join)


@given(modifiers, st.characters(codec="ascii", categories=("L", "N", "P", "S")))
def test_a_key_of_the_keyboard_can_be_written_as_it_is_shown(held: str, character: str) -> None:
    code = key_code(held + character)
    assert code is not None
    assert key_code(code) == code
    assert key_code(key_name(code)) == code


@given(st.text(max_size=20))
def test_nothing_that_is_written_raises_or_breaks_a_list_of_keys(written: str) -> None:
    code = key_code(written)
    assert code is None or ("," not in code and code == clean(code))
