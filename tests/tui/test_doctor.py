"""The doctor, from a shell and in the deck."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modeldeck.engines.doctor.types import Facts, Finding, Severity
from modeldeck.engines.scripted import Script, ScriptedEngine
from modeldeck.tui import examination
from modeldeck.tui.cli import main
from modeldeck.tui.examination import rounds, summary
from tests.support.decks import open_deck
from tests.support.screens import ScreenCheck

ILL = (
    Finding("driver", Severity.ERROR, "There is no driver.", "Install it."),
    Finding("memory", Severity.WARNING, "3.0 GiB are swapped out.", "Close something."),
    Finding("processor", Severity.ADVICE, "The governor is powersave.", "Change it."),
)


def ill(_: Facts) -> tuple[Finding, ...]:
    return ILL


def test_how_it_stands_is_one_sentence() -> None:
    assert summary(()) == "Nothing is wrong: 18 checks."
    assert summary(ILL) == "1 error, 1 warning, 1 advice in 18 checks."
    assert summary((ILL[0], ILL[0])) == "2 errors in 18 checks."


def test_severity_is_said_in_words() -> None:
    assert rounds(ILL[:1]) == [("✕ error: There is no driver.", "    next: Install it.")]


def test_long_findings_go_on_set_in() -> None:
    long = Finding("link", Severity.ADVICE, "It is slow and wide.", "Run: a --with=b-c 'd e'.")
    assert rounds([long], 24) == [
        (
            "· advice: It is slow and\n  wide.",
            "    next: Run: a\n          --with=b-c 'd\n          e'.",
        )
    ]


def test_an_error_is_an_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "examine", ill)
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "✕ error: There is no driver.\n    next: Install it." in printed
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [finding["severity"] for finding in found["findings"]] == ["error", "warning", "advice"]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_the_doctor_is_one_key_away(
    fresh_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    same_screen: ScreenCheck,
    size: tuple[int, int],
) -> None:
    monkeypatch.setattr(examination, "examine", ill)
    async with open_deck(fresh_home, ScriptedEngine(), size=size) as deck:
        await deck.rest()
        await deck.press("6", "d")
        await deck.see("1 error, 1 warning, 1 advice in 18 checks.")
        await deck.see("GPU 0: NVIDIA GeForce RTX 3060")
        same_screen(deck.pilot)
        await deck.press("escape")
        await deck.see("ENGINE")


async def test_a_missing_engine_is_found_for_real(fresh_home: Path) -> None:
    engine = ScriptedEngine(Script(missing="It is not installed."))
    async with open_deck(fresh_home, engine) as deck:
        await deck.rest()
        await deck.press("6", "d")
        await deck.see("error: No engine here can run a model.")
