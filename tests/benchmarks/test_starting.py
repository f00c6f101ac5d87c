"""How soon something stands on the screen, against what could not be smaller."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.decks import dense
from tests.support.first_paint import seconds_until
from tests.support.machine import Machine
from tests.support.measures import interleaved

pytestmark = pytest.mark.bench

REFERENCE = Path(__file__).with_name("reference_app.py")
MODELDECK = str(Path(sys.executable).with_name("modeldeck"))
PAIRS = 9


@pytest.fixture
def two_hundred(machine: Machine) -> Machine:
    """A home with 200 models whose headers have been read before."""
    for number in range(200):
        blocks, embedding = 20 + number % 40, 2048 + 512 * (number % 12)
        dense(machine.models, f"model-{number:03}", blocks=blocks, embedding=embedding)
    run([MODELDECK, "ls"], machine.environ())
    return machine


def run(command: list[str], environ: Mapping[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, env=dict(environ), check=True, capture_output=True)
    return time.perf_counter() - begun


def last_row(machine: Machine) -> bytes:
    """What the last row says that 120 by 40 cells show."""
    with machine.deck() as deck:
        deck.wait_for(r"llama_server ●")
        names = re.findall(r"^.(model-\d{3}) ", deck.text, re.MULTILINE)
    assert len(names) > 30, deck.text
    return str(names[-1]).encode()


def test_a_list_of_200_models_is_painted_soon(
    two_hundred: Machine, measured: Callable[..., None]
) -> None:
    environ, row = two_hundred.environ(), last_row(two_hundred)
    judged: list[float] = []

    def deck() -> float:
        verdict = row + rb"[^\r\n]*?(fits|layers|CPU)"
        painted, with_verdict = seconds_until([MODELDECK], row, verdict, environ=environ)
        judged.append(with_verdict)
        return painted

    def reference() -> float:
        (painted,) = seconds_until([sys.executable, str(REFERENCE)], b"row 037", environ=environ)
        return painted

    def listing() -> float:
        return run([MODELDECK, "ls"], environ)

    deck()
    reference()
    judged.clear()
    rounds = interleaved(PAIRS, deck, reference, listing)
    measured(
        "cold start to a painted list of 200 models, over the smallest Textual app with a list",
        *(ours / smallest for ours, smallest, _ in rounds),
        limit=1.5,
    )
    measured(
        "the same until the last row on the screen has its verdict",
        *(seconds / smallest for seconds, (_, smallest, _) in zip(judged, rounds, strict=True)),
    )
    measured(
        "`modeldeck ls` on the 200 models, over that cold start",
        *(listed / ours for ours, _, listed in rounds),
        limit=0.3,
    )


def test_the_version_is_said_at_once(machine: Machine, measured: Callable[..., None]) -> None:
    environ = machine.environ()
    rounds = interleaved(
        15,
        lambda: run([MODELDECK, "--version"], environ),
        lambda: run([sys.executable, "-c", "pass"], environ),
    )
    measured(
        "`modeldeck --version`, over `python -c pass`",
        *(ours / python for ours, python in rounds),
        limit=3,
    )
