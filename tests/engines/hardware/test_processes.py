"""Who a process is: asked of real processes, and of a made-up ``/proc``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modeldeck.engines.hardware.processes import UNKNOWN_DECK, Identity, identify

WAIT = "import sys; print(flush=True); sys.stdin.read()"


@contextmanager
def running(*words: str, code: str = WAIT, folder: Path | None = None) -> Generator[int]:
    """A real Python process with these words behind its code."""
    command = [sys.executable, "-c", code, *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=folder) as child:
        assert child.stdout is not None
        yield int(child.stdout.readline().strip() or child.pid)
        child.communicate()


def test_an_engine_of_this_deck_is_named_after_its_model() -> None:
    with running("modeldeck.engines.workers.x", "-m", "/m/Qwen3-8B.gguf") as pid:
        assert identify(pid, sys.executable) == Identity("Qwen3-8B", os.getpid())


def test_what_an_engine_of_this_deck_starts_is_the_decks_too() -> None:
    code = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {WAIT!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(child.pid, flush=True); sys.stdin.read(); child.wait()"
    )
    with running("modeldeck.engines.workers.guard", code=code) as pid:
        name = Path(sys.executable).name
        assert identify(pid, sys.executable) == Identity(f"{name} of the deck", os.getpid())


def process(proc: Path, pid: int, parent: int, *words: str, folder: str = "/") -> None:
    """One process of a made-up machine."""
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "cmdline").write_bytes("\0".join((*words, "")).encode())
    (proc / str(pid) / "stat").write_text(f"{pid} (a) b)) S {parent} 1 1")
    (proc / str(pid) / "cwd").symlink_to(folder)


def test_a_program_is_known_by_where_it_runs(tmp_path: Path) -> None:
    process(tmp_path, 9, 1, "/venv/bin/python3", "main.py", folder="/home/u/ComfyUI")
    assert identify(9, "/venv/bin/python3", tmp_path) == Identity("ComfyUI")


def test_a_forked_child_is_called_after_its_parent(tmp_path: Path) -> None:
    process(tmp_path, 8, 1, "python3", "-m", "vllm.entrypoints.openai.api_server")
    process(tmp_path, 9, 8, "python3", "-c", "from multiprocessing.spawn import spawn_main")
    assert identify(9, "python3", tmp_path) == Identity("vLLM")


def test_another_process_with_the_same_number_is_not_believed(tmp_path: Path) -> None:
    process(tmp_path, 9, 1, "/usr/bin/sleep", "60")
    assert identify(9, "/usr/bin/ollama", tmp_path) == Identity("Ollama")
    assert identify(9, "", tmp_path) == Identity("")


def test_a_process_that_nobody_sees_has_the_name_the_driver_gives(tmp_path: Path) -> None:
    assert identify(9, "/usr/lib/xorg/Xorg :0", tmp_path) == Identity("Xorg")
    assert identify(9, "x\x1b[31my", tmp_path) == Identity("x[31my")


def test_another_deck_is_another_deck(tmp_path: Path) -> None:
    process(tmp_path, 5, 1, "/venv/bin/python3", "/venv/bin/modeldeck")
    process(tmp_path, 6, 5, "/venv/bin/python3", "-m", "modeldeck.engines.workers.guard")
    process(tmp_path, 7, 6, "/usr/bin/llama-server", "-m", "/m/Qwen3-8B.gguf")
    assert identify(7, "/usr/bin/llama-server", tmp_path) == Identity("Qwen3-8B", 5)


def test_a_worker_whose_deck_is_not_to_be_seen_is_still_a_decks(tmp_path: Path) -> None:
    words = ("/venv/bin/python3", "-m", "modeldeck.engines.workers.xllamacpp_server")
    process(tmp_path, 7, 1, *words)
    assert identify(7, words[0], tmp_path) == Identity("python3 of the deck", UNKNOWN_DECK)


def test_another_users_deck_is_a_stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process(tmp_path, 7, 1, "/venv/bin/python3", "-m", "modeldeck.engines.workers.server")
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    assert identify(7, "/venv/bin/python3", tmp_path) == Identity("modeldeck")
