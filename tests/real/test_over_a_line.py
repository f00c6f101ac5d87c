"""The deck at the other end of a line: what it sends, what it listens on, what it starts."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

import psutil
import pytest

from tests.support.machine import Machine
from tests.support.terminal import Terminal, modeldeck_command

pytestmark = pytest.mark.real

MOUSE = re.compile(rb"\x1b\[\?(1000|1002|1003|1006|1015)h")


def tree(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def listening(pid: int) -> list[object]:
    """Every internet socket of a process and its children."""
    found: list[object] = []
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):  # a probe that has ended
            found += process.net_connections("inet")
    return found


def has_child(terminal: Terminal) -> None:
    """Wait until the engine's process is there."""
    end = time.monotonic() + 60
    while len(tree(terminal.pid)) < 2 and time.monotonic() < end:
        terminal.pump(0.1)
    assert len(tree(terminal.pid)) > 1


def chat_with_demo(deck: Terminal) -> None:
    deck.wait_for(r"second")
    deck.wait_for(r"llama_server ●")
    deck.press("d")
    deck.wait_for(r"ctx 2k|modeldeck-demo Q8_0")
    deck.wait_for(r"›")


def test_nothing_listens_on_a_network_port(machine: Machine) -> None:
    with machine.deck() as deck:
        chat_with_demo(deck)
        deck.wait_for(r"RAM|vram|ram", timeout_s=60)
        has_child(deck)
        assert not listening(deck.pid)


def test_a_chat_from_the_shell_listens_on_none_either(machine: Machine) -> None:
    command = modeldeck_command("demo")
    with Terminal(command, environ=machine.environ()) as shell:
        shell.wait_for(r"›|>")
        has_child(shell)
        assert not listening(shell.pid)


@pytest.mark.parametrize("how", ["option", "setting"])
def test_without_the_mouse_no_mouse_is_asked_for(machine: Machine, how: str) -> None:
    if how == "setting":
        machine.settings('model_dirs = ["~/models"]\nmouse = false\n')
    with machine.deck(*(["--no-mouse"] if how == "option" else [])) as deck:
        deck.wait_for(r"second")
        assert not MOUSE.search(bytes(deck.received))


def test_with_it_the_mouse_is_asked_for(machine: Machine) -> None:
    with machine.deck() as deck:
        deck.wait_for(r"second")
        assert MOUSE.search(bytes(deck.received))


def test_sixteen_colours_are_the_terminals_own(machine: Machine) -> None:
    with machine.deck("--color", "16") as deck:
        deck.wait_for(r"● fits")
        sent = bytes(deck.received)
        assert not re.search(rb"\x1b\[[\d;]*[34]8;[25];", sent)
        assert re.search(rb"\x1b\[[\d;]*3[1-6]", sent)


def test_a_dumb_terminal_gets_a_sentence_instead_of_a_screen(machine: Machine) -> None:
    with machine.deck(TERM="dumb") as deck:
        deck.wait_for(r"cannot draw")
        deck.wait_for(r"next: ")
        assert b"\x1b[?1049h" not in deck.received


def test_a_terminal_that_reads_slowly_is_drawn_to_less_often(
    machine: Machine, slow_model: Path
) -> None:
    (machine.models / "slow.gguf").symlink_to(slow_model)
    with machine.deck() as deck:
        deck.wait_for(r"slow ")
        deck.wait_for(r"llama_server ●")
        deck.press("END", "ENTER")
        deck.wait_for(r"slow Q8_0", timeout_s=60)
        deck.type("go")
        deck.press("ENTER")
        deck.wait_for(r"w\d+ w\d+")
        end = time.monotonic() + 60
        while time.monotonic() < end and "slow line: drawing every" not in deck.text:
            deck.sip(100, 0.1)
        assert "slow line: drawing every" in deck.text
        deck.press("ESC")
        deck.wait_for(r"stopped|again", timeout_s=60)
