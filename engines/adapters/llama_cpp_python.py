"""llama.cpp through ``llama-cpp-python``, the library people build for their own card.

The library runs in a child process for each model, spoken to over an inherited socket: nothing
listens anywhere, and an abort of llama.cpp ends the child only.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from modeldeck.engines.adapters.instances import HoldsInstances
from modeldeck.engines.adapters.json_values import count, items, table, text
from modeldeck.engines.adapters.llama_cpp_python_instance import ENGINE, WORKER, WorkerInstance
from modeldeck.engines.adapters.llama_cpp_python_launch import library_server_words
from modeldeck.engines.adapters.missing import missing_probe
from modeldeck.engines.chat import ChatMessage
from modeldeck.engines.contract import EngineSettings, OnProgress, ignore_progress
from modeldeck.engines.errors import EngineMissing, LoadFailed, SettingsError
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import (
    Device,
    EngineInfo,
    LoadedModel,
    LocalModel,
    ModelFormat,
    Plan,
    Probe,
)
from modeldeck.engines.workers.foreign import foreign_command, python_with
from modeldeck.engines.workers.process import ChildProcess

LIBRARY: Final = "llama_cpp"
_PROBE_TIMEOUT_S: Final = 30.0
_PROBE_HOLDS_S: Final = 60.0
_INSTALL: Final = "pip install 'modeldeck[llama-cpp]'"
_GET_IT: Final = f"Run: {_INSTALL}; for NVIDIA put CMAKE_ARGS=-DGGML_CUDA=on before it."


class LlamaCppPythonEngine(HoldsInstances[WorkerInstance]):
    """One worker process for each loaded model."""

    def __init__(self) -> None:
        super().__init__()
        self._chosen: str | None = None
        self._probed: tuple[float, str, Probe] | None = None

    @property
    def info(self) -> EngineInfo:
        """llama.cpp, GGUF only."""
        return EngineInfo(
            name=ENGINE,
            title="llama-cpp-python",
            formats=frozenset({ModelFormat.GGUF}),
            summary="llama.cpp as a Python library, in a process of its own for each model.",
        )

    def configure(self, settings: EngineSettings) -> None:
        """Take ``python``: the interpreter of an environment that has llama-cpp-python.

        Raises:
            SettingsError: it is no text, or there is no such file.
        """
        self._probed = None
        chosen = settings.get("python")
        if chosen is None:
            self._chosen = None
            return
        path = Path(chosen).expanduser() if isinstance(chosen, str) else None
        if path is None or not path.is_file():
            raise SettingsError(
                f"[engines.{ENGINE}] python cannot be run: {clean_line(str(chosen))}.",
                "Give the path of a Python that has llama-cpp-python, or take the line out.",
            )
        self._chosen = str(path)

    def _python(self) -> str:
        python = python_with(LIBRARY, ENGINE, self._chosen)
        if python is None:
            raise EngineMissing("llama-cpp-python is not installed.", _GET_IT, command=_INSTALL)
        return python

    async def probe(self) -> Probe:
        """Version and devices, asked in a child; a good answer holds for a minute."""
        try:
            python = self._python()
        except EngineMissing as missing:
            return missing_probe(missing)
        if self._probed is not None:
            asked_s, asked, answer = self._probed
            if asked == python and time.monotonic() - asked_s < _PROBE_HOLDS_S:
                return answer
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                answer = await _asked(python)
        except (OSError, TimeoutError, ValueError) as error:
            reason = clean_line(str(error) or "time-out", 160)
            return Probe(
                False,
                where=python,
                problem=f"llama-cpp-python does not answer ({reason}).",
                next_step=f"Run it by hand to see why: {python} -c 'import llama_cpp'",
            )
        self._probed = (time.monotonic(), python, answer)
        return answer

    async def load(
        self, model: LocalModel, plan: Plan, on_progress: OnProgress = ignore_progress
    ) -> LoadedModel:
        """Start a worker for ``model``. Raises EngineMissing, LoadFailed."""
        if plan.draft is not None or plan.adapters:
            raise LoadFailed(
                "llama-cpp-python is given no draft model and no adapters here.",
                "Load the model without them, or with the llama.cpp server.",
            )
        build = self._probed[2].build if self._probed else "llama-cpp-python"
        instance = WorkerInstance(model, plan, self._python(), build)
        return await self._hold(instance, on_progress)

    async def tokenize(self, instance: str, text: str) -> tuple[int, ...]:
        """Token ids of ``text`` (``llama_tokenize``)."""
        ids = items(await self._instance(instance).value("tokenize", text=text))
        return tuple(token for token in ids if isinstance(token, int))

    async def count_tokens(self, instance: str, messages: Sequence[ChatMessage]) -> int:
        """Prompt length of a conversation, chat template and images included."""
        return await self._instance(instance).count_tokens(tuple(messages))

    async def answers(self, instance: str) -> bool:
        """Whether the worker answers at all; one that computes does."""
        held = self._instances.get(instance)
        return held is not None and await held.answers()

    def launch_command(self, model: LocalModel, plan: Plan) -> tuple[str, ...]:
        """The library's own server for the same load; empty when it cannot do the same."""
        python = python_with(LIBRARY, ENGINE, self._chosen) or "python"
        return library_server_words(python, model.path, plan, model.projector)

    async def metrics(self, instance: str) -> Mapping[str, float]:
        """The worker's counters since the load, named as llama-server names its own."""
        found = table(await self._instance(instance).value("metrics"))
        return {name: float(v) for name, v in found.items() if isinstance(v, int | float)}


async def _asked(python: str) -> Probe:
    child = await ChildProcess.start(foreign_command(python, WORKER, "--devices"))
    try:
        code, lines = await child.wait(), child.log()
    finally:
        await child.stop(grace_s=0.2)
    if code != 0 or not lines:
        raise ValueError(lines[-1] if lines else f"it ended with code {code}")
    answer = table(json.loads(lines[-1]))
    devices = tuple(
        Device(
            clean_line(text(device.get("name"))),
            clean_line(text(device.get("description"))),
            count(device.get("memory_total_bytes")) or None,
            count(device.get("memory_free_bytes")) or None,
        )
        for device in map(table, items(answer.get("devices")))
    )
    build = f"llama-cpp-python {clean_line(text(answer.get('version')), 40)}"
    return Probe(True, build=build, where=python, devices=devices)
