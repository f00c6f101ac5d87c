"""The dry run from the deck's side: one patient child, asked again and again."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from modeldeck.engines.errors import EngineError, EngineMissing
from modeldeck.engines.fit.dry_run import DeviceSizes, sizes_of
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import Plan
from modeldeck.engines.workers.process import worker_command

_MODULE: Final = "modeldeck.engines.workers.dry_run"
_REASON: Final = re.compile(
    r"(?:error loading model|failed to initialize[^:]*|GGML_ASSERT)[:(]? ?(.*)"
)


def packaged_library() -> Path | None:
    """The llama.cpp inside the wheel that the deck ships with; None when it is not installed."""
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0])
    return next(iter(sorted(folder.glob("xllamacpp*.so"))), None)


class DryRunner:
    """Asks llama.cpp for sizes without loading anything. Safe to use from several threads."""

    def __init__(self, library: Path | None = None) -> None:
        """Make a runner; its child starts with the first question.

        Args:
            library: a llama.cpp with ``common_fit_print``; the packaged one by default.
        """
        self._library = library
        self._child: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def run(self, model: Path, plan: Plan) -> tuple[DeviceSizes, ...]:
        """What ``plan`` would take, for each device and the host. Takes some tenths of a second.

        Raises:
            EngineMissing: there is no llama.cpp to ask.
            EngineError: llama.cpp refuses the model or the plan; says why.
        """
        question = {**plan._asdict(), "path": str(model), "outputs": plan.slots}
        with self._lock:
            answer = self._ask(json.dumps(question))
        said, problem = str(answer.get("said", "")), str(answer.get("problem", ""))
        sizes = sizes_of(said.splitlines())
        if not sizes:
            raise EngineError(
                f"llama.cpp cannot size it: {_reason(problem)}.",
                "The formula's answer stands; another file of this model may do better.",
            )
        return sizes

    def close(self) -> None:
        """End the child and reap it. Safe to call twice."""
        with self._lock:
            self._end()

    def _ask(self, line: str) -> dict[str, object]:
        for attempt in (1, 2):
            talk_in, talk_out = self._pipes()
            try:
                talk_in.write(line + "\n")
                talk_in.flush()
                reply = talk_out.readline()
            except OSError:
                reply = ""
            if reply:
                found: dict[str, object] = json.loads(reply)
                return found
            self._end()
            if attempt == 2:
                break
        raise EngineError("llama.cpp's dry run ended without a word.", "See: modeldeck engines")

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        if self._child is None:
            library = self._library or packaged_library()
            if library is None:
                raise EngineMissing(
                    "There is no llama.cpp here to ask for sizes.", "Run: pip install xllamacpp"
                )
            self._child = subprocess.Popen(
                [*worker_command(_MODULE), str(library)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        return child.stdin, child.stdout

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue
        try:
            child.wait(2.0)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _reason(problem: str) -> str:
    lines: Sequence[str] = problem.splitlines()
    for line in lines:
        if found := _REASON.search(line):
            return clean_line(found[1] or line, 200).rstrip(" .:)")
    return clean_line(lines[-1], 200).rstrip(" .") if lines else "it ended without a word"
