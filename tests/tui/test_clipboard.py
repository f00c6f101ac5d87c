"""What is copied reaches the user's own clipboard, through whatever lies between."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.tui.clipboard import (
    MOST_BYTES,
    CopyFailed,
    clipboard_sequences,
    copied_sentence,
    hand_to_tmux,
    keep_copy,
)


def payload(sequence: str) -> str:
    found = re.fullmatch(r"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07", sequence)
    assert found is not None
    return base64.b64decode(found[1]).decode()


@given(st.text(max_size=2000))
def test_a_terminal_gets_the_text_as_it_is(text: str) -> None:
    assert payload(clipboard_sequences(text, {})) == text.encode("utf-8", "replace").decode()


@given(st.text(max_size=5000))
def test_screen_gets_it_in_pieces_it_can_hold(text: str) -> None:
    sent = clipboard_sequences(text, {"STY": "1.pts-0.box"})
    pieces = re.findall(r"\x1bP(.*?)\x1b\\", sent, re.DOTALL)
    assert all(len(piece) <= 764 for piece in pieces)
    assert "".join(f"\x1bP{piece}\x1b\\" for piece in pieces) == sent
    assert payload("".join(pieces)) == text.encode("utf-8", "replace").decode()


def test_tmux_gets_it_plain_and_to_pass_on() -> None:
    sent = clipboard_sequences("hi", {"TMUX": "/tmp/tmux-0/default,1,0"})
    plain, wrapped = sent.split("\x1bPtmux;")
    assert payload(plain) == "hi"
    assert payload(wrapped.removesuffix("\x1b\\").replace("\x1b\x1b", "\x1b")) == "hi"


def test_what_is_too_long_is_not_sent_at_all() -> None:
    assert clipboard_sequences("x" * MOST_BYTES, {})
    assert not clipboard_sequences("x" * (MOST_BYTES + 1), {})
    assert not clipboard_sequences("天" * (MOST_BYTES // 2), {})


def test_the_file_has_it_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    assert keep_copy("first", folder) == folder / "copied.txt"
    path = keep_copy("second 天\ud800", folder)
    assert path.read_text() == "second 天?"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in folder.iterdir()] == ["copied.txt"]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CopyFailed, match="could not be kept"):
        keep_copy("x", tmp_path / "file" / "below")


def test_the_user_is_told_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "copied.txt"
    assert copied_sentence("the answer", sent=True, path=path) == (
        f"Sent the answer to the terminal's clipboard. It is also in {path}."
    )
    assert "too long" in copied_sentence("the answer", sent=False, path=path)
    assert str(path) in copied_sentence("the answer", sent=False, path=path)


def test_outside_of_tmux_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert not hand_to_tmux("x", {})
    assert not hand_to_tmux("x", {"TMUX": "/nowhere,1,0"})


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed here")
def test_a_real_tmux_keeps_it(tmp_path: Path) -> None:
    name = f"modeldeck-{os.getpid()}"
    environ = {"PATH": os.environ["PATH"], "TMUX_TMPDIR": str(tmp_path), "TERM": "xterm-256color"}
    script = (
        "import os; from modeldeck.tui.clipboard import hand_to_tmux; "
        "print('handed', hand_to_tmux('über tmux', os.environ)); import time; time.sleep(30)"
    )

    def tmux(*words: str) -> str:
        ran = subprocess.run(
            ["tmux", "-L", name, *words], env=environ, capture_output=True, text=True, check=False
        )
        return ran.stdout

    tmux("-f", "/dev/null", "new-session", "-d", "-s", "s", "--", sys.executable, "-c", script)
    try:
        end = time.monotonic() + 20
        while "über tmux" not in (kept := tmux("show-buffer")) and time.monotonic() < end:
            time.sleep(0.1)
        assert kept == "über tmux"
    finally:
        tmux("kill-server")
