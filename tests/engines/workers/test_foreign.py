"""A worker runs in the Python that has its library, wherever that is."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from modeldeck.engines.workers import foreign
from modeldeck.engines.workers.foreign import foreign_command, python_with
from modeldeck.engines.workers.lines import messages, packed


def test_the_settings_come_first() -> None:
    assert python_with("json", "any", "/opt/py") == "/opt/py"


def test_the_decks_own_environment_comes_next() -> None:
    assert python_with("json", "any") == sys.executable


def test_an_environment_of_the_engines_own_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert python_with("no_such_library", "mine") is None
    python = tmp_path / "engines" / "mine" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert python_with("no_such_library", "mine") == str(python)


def test_a_python_that_knows_nothing_of_modeldeck_runs_its_workers(tmp_path: Path) -> None:
    code = foreign_command(sys.executable, "modeldeck.engines.workers.lines")
    ran = subprocess.run(
        [code[0], "-I", "-S", *code[1:]], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_root_is_the_folder_of_the_rooms() -> None:
    root = Path(foreign_command(sys.executable, "m")[3])
    assert (root / "engines" / "workers" / Path(foreign.__file__).name).exists()


def test_messages_arrive_whole_and_in_order() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sent = [{"n": 1, "text": "天\n\u2028\ud800"}, {"n": 2, "text": "x" * 200_000}]
        pid = os.fork()
        if pid == 0:  # pragma: no cover
            ours.sendall(b"".join(map(packed, sent)))
            os._exit(0)
        ours.close()
        got = list(messages(theirs))
        os.waitpid(pid, 0)
    assert got == json.loads(json.dumps(sent))
