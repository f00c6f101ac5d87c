"""The dry run from the deck's side: one patient child, asked again and again."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from modeldeck.engines.errors import EngineError, EngineMissing
from modeldeck.engines.fit.cache import outputs
from modeldeck.engines.fit.dry_run import STAND_IN, DeviceSizes, sizes_of
from modeldeck.engines.fit.profiles import LLAMA_SERVER, EngineProfile
from modeldeck.engines.fit.sizing_library import sizing_library
from modeldeck.engines.formats.gguf_outline import Outline, write_outlines
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import Plan
from modeldeck.engines.workers.asked import AskedChild, NoAnswer
from modeldeck.engines.workers.process import worker_command

LONGEST_S: Final = 70.0
"""Beyond what the child allows one question."""

_MODULE: Final = "modeldeck.engines.workers.dry_run"
_REASON: Final = re.compile(
    r"(?:error loading model|failed to initialize[^:]*|GGML_ASSERT)[:(]? ?(.*)"
)


class Refused(EngineError):
    """llama.cpp does not take the model or the plan; ``why`` in its own words, cleaned."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"llama.cpp cannot size it: {why}.",
            "The formula's answer stands; another file of this model may do better.",
        )
        self.why = why


class DryRunner:
    """Asks llama.cpp for sizes without loading anything. Safe to use from several threads."""

    def __init__(self, library: Path | None = None, longest_s: float = LONGEST_S) -> None:
        """Make a runner; its child starts with the first question.

        Args:
            library: a llama.cpp with ``common_fit_print``; usually that of ``sizing_library``.
            longest_s: what one answer may take.
        """
        self._library = library
        self._longest_s = longest_s
        self._child: AskedChild | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The child's process id; None before the first question and after the end."""
        return self._child.pid if self._child is not None else None

    def run(
        self,
        outlines: Sequence[Outline],
        plan: Plan,
        profile: EngineProfile = LLAMA_SERVER,
        *,
        cuda: bool = False,
    ) -> tuple[DeviceSizes, ...]:
        """What the model alone would take with ``plan``, for each device and the host.

        What drafts and the adapters are not in it; the logits of drafted tokens are.

        Args:
            outlines: of the model's files, in the order of their numbers.
            plan: of the load.
            profile: of the program that will load it.
            cuda: the card is NVIDIA's: a build without its backend has a stand-in sized like it.

        Raises:
            EngineMissing: there is no llama.cpp to ask.
            Refused: llama.cpp does not take the model or the plan.
            EngineError: it does not answer, or cannot be asked.
        """
        try:
            with TemporaryDirectory(prefix="modeldeck-") as folder:
                model = write_outlines(outlines, Path(folder))
                question = {
                    **plan._asdict(),
                    "path": str(model),
                    "outputs": plan.batch_tokens if profile.outputs_follow_batch else outputs(plan),
                    "unified": profile.unified,
                    "stand_in": STAND_IN if cuda and plan.gpu_layers else "",
                }
                with self._lock:
                    answer = self._ask(json.dumps(question))
        except OSError as error:
            reason = clean_line(error.strerror or str(error))
            raise EngineError(
                f"The dry run cannot write its outline of the model: {reason}.", "Set TMPDIR."
            ) from error
        said, problem = str(answer.get("said", "")), str(answer.get("problem", ""))
        sizes = sizes_of(said.splitlines())
        if not sizes:
            raise Refused(_reason(problem))
        return sizes

    def close(self) -> None:
        """End the child and reap it. Safe to call twice."""
        with self._lock:
            child, self._child = self._child, None
            if child is not None:
                child.end()

    def _ask(self, line: str) -> dict[str, object]:
        was_running = self._child is not None
        try:
            return self._answer(line)
        except NoAnswer as error:
            reason = error
        if was_running:  # it may have ended long ago
            with contextlib.suppress(NoAnswer):
                return self._answer(line)
        raise EngineError(
            f"llama.cpp's dry run gave no answer: {reason}.", "The formula's answer stands."
        )

    def _answer(self, line: str) -> dict[str, object]:
        """Raises NoAnswer."""
        if self._child is None:
            library = self._library or sizing_library()
            if library is None:
                raise EngineMissing(
                    "There is no llama.cpp here to ask for sizes.", "Run: pip install xllamacpp"
                )
            self._child = AskedChild([*worker_command(_MODULE), str(library)])
        child, self._child = self._child, None
        found: dict[str, object] = json.loads(child.ask(line, self._longest_s))
        self._child = child
        return found


def _reason(problem: str) -> str:
    lines: Sequence[str] = problem.splitlines()
    for line in lines:
        if found := _REASON.search(line):
            return clean_line(" ".join((found[1] or line).split()), 200).rstrip(" .:)")
    return clean_line(lines[-1], 200).rstrip(" .") if lines else "it ended without a word"
