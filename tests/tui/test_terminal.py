"""What the deck makes of the terminal it is started in."""

from __future__ import annotations

import pytest

from modeldeck.tui.terminal import (
    ColorChoice,
    batch_ms,
    color_system,
    default_theme,
    over_ssh,
    prepare_environment,
    unusable_terminal,
)

SSH = {"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}


@pytest.mark.parametrize(
    ("environ", "colors"),
    [
        ({"TERM": "xterm-256color"}, "auto"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "truecolor"),
        ({"TERM": "xterm-256color", "COLORTERM": "24bit"}, "truecolor"),
        ({"TERM": "xterm-direct"}, "truecolor"),
        ({"TERM": "xterm-kitty", **SSH}, "truecolor"),
        ({"TERM": "alacritty", **SSH}, "truecolor"),
        ({"TERM": "xterm-ghostty", **SSH}, "truecolor"),
        ({"TERM": "foot"}, "truecolor"),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x,1,0"}, "auto"),
        ({"TERM": "linux"}, "auto"),
        ({}, "auto"),
    ],
)
def test_colours_follow_what_the_terminal_is_known_to_do(
    environ: dict[str, str], colors: str
) -> None:
    assert color_system(environ) == colors


@pytest.mark.parametrize(
    ("choice", "colors"),
    [("truecolor", "truecolor"), ("256", "256"), ("16", "standard"), ("none", "standard")],
)
def test_the_users_choice_counts_whatever_the_terminal_says(
    choice: ColorChoice, colors: str
) -> None:
    assert color_system({"COLORTERM": "truecolor", "TERM": "xterm-kitty"}, choice) == colors


def test_no_colours_are_no_colours() -> None:
    environ = {"TERM": "xterm-256color"}
    prepare_environment(environ, "none")
    assert environ["NO_COLOR"] == "1"


def test_what_the_user_set_is_left_alone() -> None:
    environ = {"TEXTUAL_FPS": "3", "TEXTUAL_COLOR_SYSTEM": "256", **SSH}
    prepare_environment(environ)
    assert environ["TEXTUAL_FPS"] == "3"
    assert environ["TEXTUAL_COLOR_SYSTEM"] == "256"
    assert environ["TEXTUAL_ANIMATIONS"] == "none"


def test_a_line_gets_fewer_frames_than_a_desk() -> None:
    near, far = {"TERM": "xterm"}, {"TERM": "xterm", **SSH}
    prepare_environment(near)
    prepare_environment(far)
    assert int(far["TEXTUAL_FPS"]) < int(near["TEXTUAL_FPS"])
    assert batch_ms(SSH) > batch_ms({})
    assert over_ssh(SSH)
    assert not over_ssh({})


@pytest.mark.parametrize(
    ("colors", "theme"),
    [("truecolor", "deck-dark"), ("256", "deck-dark"), ("standard", "deck-ansi")],
)
def test_few_colours_are_best_the_terminals_own(colors: str, theme: str) -> None:
    assert default_theme(colors) == theme


@pytest.mark.parametrize(
    ("environ", "encoding", "words"),
    [
        ({"TERM": "dumb"}, "utf-8", "cannot draw"),
        ({}, "UTF-8", "cannot draw"),
        ({"TERM": "xterm"}, "iso-8859-1", "needs UTF-8"),
        ({"TERM": "xterm"}, "ascii", "needs UTF-8"),
    ],
)
def test_a_terminal_that_cannot_show_it_is_named(
    environ: dict[str, str], encoding: str, words: str
) -> None:
    reason = unusable_terminal(environ, encoding)
    assert reason is not None
    assert words in reason[0]
    assert reason[1]


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "utf8", "UTF_8"])
def test_any_other_terminal_will_do(encoding: str) -> None:
    assert unusable_terminal({"TERM": "vt220"}, encoding) is None
