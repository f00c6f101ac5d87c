"""The words a user may type, and what is said about the wrong ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modeldeck.tui.actions import COMMANDS
from modeldeck.tui.cli import main
from tests.support.gguf_files import write_llama


def command(*words: str, shell: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own; ``shell`` is put behind it."""
    line = [sys.executable, "-m", "modeldeck.tui.cli", *words]
    if shell is not None:
        line = ["bash", "-c", f'"$0" "$@" {shell}', *line]
    return subprocess.run(
        line, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["bogus"], "invalid choice: 'bogus'"),
        (["chat", "hi"], "required: -m/--model"),
        (["chat", "-m", "x", "-n", "0", "hi"], "“0” is no positive whole number"),
        (["chat", "-m", "x", "-n", "many", "hi"], "“many” is no positive whole number"),
        (["chat", "-m", "x", "-t", "nan", "hi"], "“nan” is no temperature"),
        (["chat", "-m", "x", "-t", "-1", "hi"], "“-1” is no temperature"),
        (["chat", "-m", "x", "--seed", "-1", "hi"], "“-1” is no whole number"),
        (["--gpu", "nonsense", "ls"], "No card is known as “nonsense”"),
        (["ls", "--gpu", "nonsense"], "No card is known as “nonsense”"),
        (["ls", "--vram", "x"], "“x” is no size"),
        (["ls", "--config", "/not/there"], "there is no file /not/there"),
        (["ls", "--js"], "unrecognized arguments: --js"),
        (["ls", "\x1b]0;title\x07"], "unrecognized arguments: ]0;title"),
    ],
)
def test_a_wrong_word_is_a_cause_a_next_step_and_exit_code_2(
    words: list[str], cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2

    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert out == ""
    assert first.startswith("modeldeck: ")
    assert cause in first
    assert second.startswith("  next: modeldeck")
    assert second.endswith("--help")
    assert "\x1b" not in err


@pytest.mark.parametrize("name", [entry.name for entry in COMMANDS])
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0

    shown = capsys.readouterr().out
    assert f"usage: modeldeck {name}" in shown
    assert "--json" in shown


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    shown = capsys.readouterr().out
    assert all(f"\n    {entry.name} " in shown for entry in COMMANDS)


def test_options_count_before_and_after_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_llama(tmp_path / "models" / "mine.gguf")
    config = tmp_path / "config.toml"
    config.write_text(f'model_dirs = ["{tmp_path}/models"]\n', encoding="utf-8")

    shown: list[str] = []
    for words in (["--config", str(config), "ls"], ["ls", "--config", str(config)]):
        assert main([*words, "--json"]) == 0
        shown.append(capsys.readouterr().out)

    assert shown[0] == shown[1]
    assert "mine" in [record["name"] for record in json.loads(shown[0])]


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["--config", os.devnull, "--version"]) == 2
    assert capsys.readouterr().out.startswith("modeldeck 0.")


@pytest.mark.parametrize("shell", ["| cat", "</dev/null >/dev/null"])
def test_the_deck_asks_for_a_terminal_and_points_to_the_commands(shell: str) -> None:
    done = command(shell=shell + "; exit ${PIPESTATUS[0]}")

    assert done.returncode == 2
    assert done.stdout == ""
    assert "needs a terminal" in done.stderr
    assert all(entry.name in done.stderr for entry in COMMANDS)


def test_a_reader_that_leaves_early_is_no_error_to_talk_about() -> None:
    done = command("keys", shell="| true; exit ${PIPESTATUS[0]}")

    assert done.returncode in {0, 1}
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_said_in_words() -> None:
    done = command("keys", shell="> /dev/full")

    assert done.returncode == 1
    assert done.stderr.startswith("modeldeck: The output cannot be written: No space left")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", [">&-", "2>&-", "<&-"])
def test_a_closed_stream_is_no_reason_to_fail(shell: str) -> None:
    done = command("ls", shell=shell)

    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_a_terminal_that_cannot_write_everything_still_gets_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_llama(tmp_path / "models" / "名前 🙂.gguf")
    config = tmp_path / "config.toml"
    config.write_text(f'model_dirs = ["{tmp_path}/models"]\n', encoding="utf-8")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")

    plain = command("ls", "--config", str(config))
    listed = command("ls", "--config", str(config), "--json")

    assert plain.returncode == listed.returncode == 0
    assert "?? ?" in plain.stdout
    assert "名前 🙂" in [record["name"] for record in json.loads(listed.stdout)]
