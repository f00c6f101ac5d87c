"""What breaks under the deck, and what the user is told: nothing is lost, nothing stays behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.real.test_first_loop import engine_of, put_cursor_on, wait_until_gone
from tests.support.machine import Machine
from tests.support.terminal import Terminal

pytestmark = pytest.mark.real


def open_chat(deck: Terminal, name: str) -> psutil.Process:
    """Wait for the list, load a model, and return its engine."""
    deck.wait_for(r"llama_server ●")
    put_cursor_on(deck, name)
    deck.press("ENTER")
    deck.wait_for(rf"{name} Q8_0 +llama_server on")
    return engine_of(deck)


def ask(deck: Terminal, text: str) -> None:
    deck.type(text)
    deck.press("ENTER")


def leave(deck: Terminal) -> None:
    deck.press("^q")
    assert deck.wait_exit() == 0


def test_the_engine_is_killed_in_mid_reply(machine: Machine, slow_model: Path) -> None:
    (machine.models / "slow.gguf").hardlink_to(slow_model)
    with machine.deck() as deck:
        engine = open_chat(deck, "slow")
        ask(deck, "Go on")
        deck.wait_for(r"tokens out +[2-9][0-9]")
        engine.kill()
        deck.wait_for(r"stopped while it held slow: it was ended by SIGKILL")
        deck.wait_for(r"Send again")
        assert "Go on" in deck.text
        assert "w" in deck.text

        ask(deck, "And again")
        deck.wait_for(r"slow Q8_0 +llama_server on")
        deck.wait_for(r"And again")
        deck.wait_for(r"decode +[0-9.]+ s +engine")
        assert engine_of(deck).pid != engine.pid
        deck.press("ESC")
        leave(deck)


def test_the_engine_dies_while_nobody_asks(machine: Machine) -> None:
    with machine.deck() as deck:
        engine = open_chat(deck, "second")
        engine.kill()
        deck.wait_for(r"stopped while it held second")
        deck.wait_for(r"no model loaded")
        ask(deck, "How do I quit?")
        deck.wait_for(r"second Q8_0 +llama_server on")
        # The model samples, so what it says is not always the same; that it was asked is.
        deck.wait_for(r"done +[0-9.]+ s +engine")
        leave(deck)
    question, answer = machine.kept_messages()
    assert question.text == "How do I quit?"
    assert answer.state == "done"
    assert answer.text


def test_a_file_the_engine_gives_up_on(machine: Machine) -> None:
    # A sound header with an architecture that no llama.cpp knows.
    whole = (machine.models / "second.gguf").read_bytes()
    (machine.models / "strange.gguf").write_bytes(whole.replace(b"llama", b"lamma"))
    with machine.deck() as deck:
        deck.wait_for(r"llama_server ●")
        put_cursor_on(deck, "strange")
        deck.press("ENTER")
        deck.wait_for(r"could not load strange: this build .* the architecture lamma")
        deck.wait_for(r"Use a newer\s+llama-server")
        deck.press("ESC", "l")
        deck.wait_for(r"unknown model architecture")
        deck.press("ESC", "1")
        put_cursor_on(deck, "second")
        deck.press("ENTER")
        deck.wait_for(r"second Q8_0 +llama_server on")
        leave(deck)


def test_no_engine_is_installed(machine: Machine, tmp_path: Path) -> None:
    # An import hook of the user's site hides the wheel, as if it were not installed.
    hook = tmp_path / "hidden" / "sitecustomize.py"
    hook.parent.mkdir()
    hook.write_text(
        "import importlib.util as u\nreal = u.find_spec\n"
        "u.find_spec = lambda n, p=None: None if n == 'xllamacpp' else real(n, p)\n"
    )
    with machine.deck(PYTHONPATH=str(hook.parent)) as deck:
        deck.wait_for(r"llama_server ○")
        put_cursor_on(deck, "second")
        deck.press("ENTER")
        deck.wait_for(r"No llama.cpp server is installed|No engine here can run GGUF")
        deck.wait_for(r"pip install xllamacpp")
        deck.press("ESC", "6")
        deck.wait_for(r"○ not installed +pip install xllamacpp")
        leave(deck)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_sane_and_no_child(
    machine: Machine, slow_model: Path, number: signal.Signals
) -> None:
    (machine.models / "slow.gguf").hardlink_to(slow_model)
    with machine.deck() as deck:
        engine = open_chat(deck, "slow")
        ask(deck, "Go on")
        deck.wait_for(r"tokens out +[1-9]")
        deck.send_signal(number)
        assert deck.wait_exit() == 128 + number
        wait_until_gone(engine)
        ending = bytes(deck.received[-4000:])
        assert b"\x1b[?1049l" in ending  # back from the alternate screen
        assert b"\x1b[?1000l" in ending  # mouse off
        assert b"\x1b[?25h" in ending  # cursor on


def test_the_line_is_cut(machine: Machine) -> None:
    with machine.deck() as deck:
        engine = open_chat(deck, "second")
        deck.hang_up()
        deck.wait_exit()
        wait_until_gone(engine)


def test_names_and_answers_are_data(machine: Machine) -> None:
    hostile = "x[b]y[red]\x1b]0;pwned\x07\x9b31m\u202ez字e\u0301.gguf"
    os.link(machine.models / "second.gguf", machine.models / hostile)
    (machine.models / "second.gguf").unlink()
    with machine.deck() as deck:
        deck.wait_for(r"llama_server ●")
        put_cursor_on(deck, r"x\[b\]y\[red\]")
        deck.pump(0.5)
        deck.press("ENTER")
        deck.wait_for(r"x\[b\]y\[red\].* +llama_server on CPU")
        ask(deck, "[/] [red]a[/red] how do I quit?")
        deck.wait_for(r"\[/\] \[red\]a\[/red\]")
        deck.wait_for(r"tokens out +[1-9]")
        leave(deck)
        sent = bytes(deck.received)
        assert b"pwned" not in sent.replace(b"]0;pwned", b"") or b"\x1b]0;pwned" not in sent
        assert b"\x1b]0;" not in sent
        assert "\u202e".encode() not in sent
        assert b"\xc2\x9b" not in sent
