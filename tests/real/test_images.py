"""Images with the real engine and a real, though random, vision model: from a shell and a deck."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.real.test_first_loop import put_cursor_on
from tests.support.image_files import png
from tests.support.machine import Machine
from tests.support.random_model import TINY, make_random_model
from tests.support.random_projector import IMAGE_TOKENS, make_random_projector
from tests.support.terminal import modeldeck_command

pytestmark = pytest.mark.real


@pytest.fixture
def eye(machine: Machine) -> Path:
    """A vision model in the folder of models, its projector beside it, and two pictures."""
    folder = machine.models / "eye"
    folder.mkdir()
    make_random_projector(folder / "mmproj-eye-F32.gguf", TINY.width)
    (machine.home / "red.png").write_bytes(png(64, 48, (255, 0, 0)))
    (machine.home / "blue.png").write_bytes(png(64, 48, (0, 40, 255)))
    return make_random_model(folder / "eye-Q8_0.gguf", attention=0.5)


def ask(machine: Machine, *words: str) -> tuple[str, int]:
    """The answer of ``modeldeck chat`` without any chance in it, and the prompt's tokens."""
    done = subprocess.run(
        modeldeck_command(
            *("chat", "-m", "eye-Q8_0", "-n", "6", "-t", "0", "-c", "512", "--json"),
            *(*words, "What do you see?"),
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=machine.environ(),
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    return record["text"], record["prompt_tokens"]


def test_the_command_line_shows_an_image(machine: Machine, eye: Path) -> None:
    nothing, without = ask(machine)
    red, with_red = ask(machine, "--image", "~/red.png")
    blue, with_blue = ask(machine, "--image", str(machine.home / "blue.png"))

    assert with_red == with_blue == without + IMAGE_TOKENS
    assert len({nothing, red, blue}) == 3


def test_the_deck_attaches_an_image_and_keeps_it(machine: Machine, eye: Path) -> None:
    with machine.deck() as deck:
        deck.wait_for(r"llama_server ●")
        put_cursor_on(deck, "eye")
        deck.press("ENTER")
        deck.wait_for(r"eye-Q8_0 Q8_0 +llama_server")
        deck.press("ESC")
        deck.type("a")
        deck.wait_for(r"attach an image")
        deck.type("~/red")
        deck.wait_for(r"~/red\.png")
        deck.press("ENTER")
        deck.wait_for(r"✕ red cannot be read")
        deck.type(".png")
        deck.press("ENTER")
        deck.wait_for(r"image +red\.png +64x48 +1 kB +esc removes")
        deck.type("What do you see?")
        deck.press("ENTER")
        deck.wait_for(r"you[^\n]*\n +image +red\.png +64x48")
        tokens_in = deck.wait_for(r"tokens in +(\d+)")[1]
        deck.press("ESC")
        deck.wait_for(r"\bstopped\b")

        deck.press("^f")
        deck.wait_for(r"What do you see\? +eye-Q8_0")
        deck.press("^e")
        deck.wait_for(r"Saved as .*what-do-you-see\.md")
        deck.press("ESC", "ESC")
        deck.press("ESC", "q")
        assert deck.wait_exit() == 0
    exports = machine.home / ".local" / "share" / "modeldeck" / "exports"
    assert int(tokens_in) > IMAGE_TOKENS
    assert (exports / "what-do-you-see-image-1.png").read_bytes() == png(64, 48, (255, 0, 0))
    markdown = (exports / "what-do-you-see.md").read_text(encoding="utf-8")
    assert re.search(r"!\[red\.png\]\(<what-do-you-see-image-1\.png>\)", markdown)
