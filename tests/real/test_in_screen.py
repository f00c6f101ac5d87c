"""The deck inside GNU screen: drawn whole, and what is copied reaches the terminal outside."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.machine import Machine
from tests.support.terminal import Terminal, modeldeck_command

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("screen") is None, reason="GNU screen is not installed here"),
]

COPIED = re.compile(rb"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07")


@contextmanager
def in_screen(
    machine: Machine, folder: Path, command: list[str], **more: str
) -> Generator[Terminal]:
    """A terminal with GNU screen in it, and ``command`` in there."""
    folder.mkdir(mode=0o700)
    name = f"modeldeck-{os.getpid()}"
    settings = folder / "screenrc"
    settings.write_text("startup_message off\ndefutf8 on\n")
    environ = machine.environ(SCREENDIR=str(folder), LC_ALL="C.UTF-8", **more)
    words = ["screen", "-c", str(settings), "-S", name, *command]
    try:
        with Terminal(words, environ=environ) as terminal:
            yield terminal
    finally:
        quit_it = ["screen", "-S", name, "-X", "quit"]
        subprocess.run(quit_it, env=environ, capture_output=True, check=False)


def copied(terminal: Terminal, *, pumps: int = 100) -> str:
    """What the terminal outside was told to keep in its clipboard."""
    for _ in range(pumps):
        if found := COPIED.search(bytes(terminal.received)):
            return base64.b64decode(found[1]).decode()
        terminal.pump(0.1)
    raise AssertionError(f"nothing was copied; the screen is:\n{terminal.text}")


def test_the_deck_is_drawn_whole_and_its_copy_comes_out(machine: Machine, tmp_path: Path) -> None:
    with in_screen(machine, tmp_path / "screen", modeldeck_command()) as deck:
        deck.wait_for(r"● fits")
        deck.wait_for(r"llama_server ●")
        assert "modeldeck  1 Models  2 Hub  3 Pulls  4 Chat  6 Engines" in deck.text
        deck.press("END", "y")
        deck.wait_for(r"Sent the command to the terminal's clipboard")
        assert re.match(r"llama-server -m \S*second\.gguf ", copied(deck))
        deck.press("^q")
        deck.wait_exit()


def test_what_takes_many_pieces_comes_out_as_one(machine: Machine, tmp_path: Path) -> None:
    text = "".join(f"line {number} äöü 天\n" for number in range(400))
    (tmp_path / "text").write_text(text, encoding="utf-8")
    script = (
        "import os, sys, time; from pathlib import Path; "
        "from modeldeck.tui.clipboard import clipboard_sequences; "
        "text = Path(sys.argv[1]).read_text('utf-8'); "
        "sys.stdout.write(clipboard_sequences(text, os.environ)); "
        "print('sent'); time.sleep(30)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "text")]
    with in_screen(machine, tmp_path / "screen", command) as terminal:
        terminal.wait_for(r"sent")
        assert copied(terminal) == text
