"""Asks a model file questions through a real llama.cpp, and counts right answers.

The server is llama.cpp's own, from the ``xllamacpp`` wheel, in a child process on a Unix socket.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from modeldeck.engines.chat import ChatMessage
from modeldeck.engines.demo.helptext import HelpText

_SERVER = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, socket = sys.argv[1:]
params.hostnames = [socket]
params.n_ctx, params.n_parallel, params.n_gpu_layers = 2048, 1, 0
params.cpuparams.n_threads = 2
params.warmup = False
server = xllamacpp.Server(params)
print("ready", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the ids of the actions or commands any of which is a right answer."""

    text: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graded:
    """What the model said to a question, and whether it is right."""

    question: Question
    answer: str
    right: bool


def read_questions(text: str) -> list[Question]:
    """Parse a file of ``[[question]]`` tables with ``text`` and ``answers``."""
    rows = tomllib.loads(text)["question"]
    return [Question(row["text"], tuple(row["answers"])) for row in rows]


def named(answer: str) -> frozenset[str]:
    """The keys and commands an answer names: whatever it writes between backticks."""
    return frozenset(re.findall(r"`([^`]+)`", answer))


def right_names(help_text: HelpText, ids: Collection[str]) -> frozenset[str]:
    """The keys of the actions, and the commands, called ``ids``. Raises KeyError for an unknown."""
    names = {a.id: a.keys for a in help_text.actions} | {
        c.name: (c.name,) for c in help_text.commands
    }
    return frozenset(name for each in ids for name in names[each])


def is_right(answer: str, right: Collection[str]) -> bool:
    """Whether ``answer`` names a right key or command, and no other."""
    return bool(named(answer)) and named(answer) <= frozenset(right)


class Served:
    """A model behind a running server."""

    def __init__(self, socket: Path) -> None:
        import httpx  # 60 ms to import

        transport = httpx.HTTPTransport(uds=str(socket))
        self._client = httpx.Client(transport=transport, base_url="http://localhost", timeout=60)

    def ask(self, messages: Sequence[ChatMessage], max_tokens: int = 64) -> str:
        """The most likely answer (temperature 0) to a conversation."""
        reply = self._client.post(
            "/v1/chat/completions",
            json={
                "messages": [{"role": m.role, "content": m.content} for m in messages],
                "temperature": 0,
                "max_tokens": max_tokens,
            },
        )
        reply.raise_for_status()
        whole = cast("Mapping[str, list[Mapping[str, Mapping[str, str]]]]", reply.json())
        return whole["choices"][0]["message"]["content"]

    def tokenize(self, text: str) -> list[int]:
        """The token ids llama.cpp makes of ``text``."""
        reply = self._client.post("/tokenize", json={"content": text, "add_special": False})
        reply.raise_for_status()
        return cast("Mapping[str, list[int]]", reply.json())["tokens"]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


@contextlib.contextmanager
def served(model: Path) -> Generator[Served]:
    """Serve ``model`` in a child process for the length of the block. The child ends with it."""
    with tempfile.TemporaryDirectory(prefix="modeldeck-") as folder:
        socket = Path(folder) / "demo.sock"
        child = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(model), str(socket)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert child.stdout is not None
            if not any(line.strip() == b"ready" for line in child.stdout):
                raise RuntimeError(f"llama.cpp did not load {model}")
            client = Served(socket)
            try:
                yield client
            finally:
                client.close()
        finally:
            child.kill()
            child.communicate()


def graded(server: Served, questions: Sequence[Question], help_text: HelpText) -> list[Graded]:
    """Ask each question in a conversation of its own and grade the answer."""
    return [
        Graded(question, answer, is_right(answer, right_names(help_text, question.answers)))
        for question in questions
        for answer in (server.ask((ChatMessage("user", question.text),)),)
    ]
