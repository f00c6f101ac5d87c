"""llama.cpp's server, started and owned by the deck: the embedded default engine.

Runs the ``llama-server`` named in the settings, else the one on PATH, else the same server out of
the prebuilt ``xllamacpp`` wheel in a child process.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from modeldeck.engines.adapters.instances import HoldsInstances
from modeldeck.engines.adapters.llama_server_dialect import MODERN, Dialect, dialect_of
from modeldeck.engines.adapters.llama_server_instance import (
    ENGINE,
    WHEEL_MODULE,
    ServerInstance,
    exit_words,
)
from modeldeck.engines.adapters.llama_server_launch import server_words
from modeldeck.engines.adapters.llama_server_split import COUNTED
from modeldeck.engines.adapters.missing import missing_probe
from modeldeck.engines.chat import ChatMessage
from modeldeck.engines.contract import EngineSettings, OnProgress, ignore_progress
from modeldeck.engines.errors import EngineMissing, SettingsError
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
from modeldeck.engines.workers.process import ChildProcess, worker_command

_PROBE_TIMEOUT_S = 20.0
_INSTALL = "pip install xllamacpp"
_GET_IT = f"Run: {_INSTALL}, or put a llama-server on PATH."
# "  CUDA0: NVIDIA GeForce RTX 3060 (12044 MiB, 11900 MiB free)"
_DEVICE = re.compile(r"^\s*(\w+): (.*) \((\d+) MiB, (\d+) MiB free\)")
_VERSION = re.compile(r"^version: (.+)")
_MIB = 1024**2


class LlamaServerEngine(HoldsInstances[ServerInstance]):
    """Manages one llama.cpp server process for each loaded model."""

    def __init__(self) -> None:
        super().__init__()
        self._binary: str | None = None
        self._dialects: dict[tuple[str, int, int], Dialect] = {}

    @property
    def info(self) -> EngineInfo:
        """llama.cpp, GGUF only."""
        return EngineInfo(
            name=ENGINE,
            title="llama.cpp server",
            formats=frozenset({ModelFormat.GGUF}),
            summary="llama.cpp's own server, started for each model on a private socket.",
        )

    def configure(self, settings: EngineSettings) -> None:
        """Take ``binary``: the ``llama-server`` to run.

        Raises:
            SettingsError: it is no text, or names nothing that can be run.
        """
        binary = settings.get("binary")
        if binary is None:
            self._binary = None
            return
        found = shutil.which(str(Path(binary).expanduser())) if isinstance(binary, str) else None
        if found is None:
            raise SettingsError(
                f"[engines.{ENGINE}] binary cannot be run: {clean_line(str(binary))}.",
                "Give the path of a llama-server, or take the line out.",
            )
        self._binary = found

    def _choose(self) -> str | None:
        """The binary to run, or None for the wheel. Raises EngineMissing."""
        if binary := self._binary or shutil.which("llama-server"):
            return binary
        if importlib.util.find_spec("xllamacpp") is None:
            raise EngineMissing("No llama.cpp server is installed.", _GET_IT, command=_INSTALL)
        return None

    async def _dialect(self, binary: str | None) -> Dialect:
        """The flags ``binary`` knows; asked once for each build."""
        if binary is None:
            return MODERN
        try:
            build = _build_of(binary)
            if build not in self._dialects:
                async with asyncio.timeout(_PROBE_TIMEOUT_S):
                    _, lines = await _output(binary, "--help")
                self._dialects[build] = dialect_of(lines)
            return self._dialects[build]
        except (OSError, TimeoutError):
            return MODERN

    async def probe(self) -> Probe:
        """Which server would run, its build and its devices. Starts it only to ask."""
        try:
            binary = self._choose()
        except EngineMissing as missing:
            return missing_probe(missing)
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                return await (_probe_binary(binary) if binary else _probe_wheel())
        except (OSError, TimeoutError, ValueError, KeyError) as error:
            reason = clean_line(str(error) or "time-out", 120)
            return Probe(
                False,
                where=binary or "xllamacpp",
                problem=f"The llama.cpp server does not answer ({reason}).",
                next_step="Run it by hand to see why: "
                + (f"{binary} --version" if binary else "python -c 'import xllamacpp'"),
            )

    async def load(
        self, model: LocalModel, plan: Plan, on_progress: OnProgress = ignore_progress
    ) -> LoadedModel:
        """Start a server for ``model``. Raises EngineMissing, LoadFailed."""
        binary = self._choose()
        dialect, build = await self._dialect(binary), "" if binary else _wheel_build()
        instance = ServerInstance(model, plan, binary, dialect, build)
        return await self._hold(instance, on_progress)

    async def tokenize(self, instance: str, text: str) -> tuple[int, ...]:
        """Token ids of ``text`` (``POST /tokenize``)."""
        body = {"content": text, "add_special": False, "parse_special": False}
        answer = await self._instance(instance).post("/tokenize", body)
        return tuple(int(token) for token in answer["tokens"])

    async def count_tokens(self, instance: str, messages: Sequence[ChatMessage]) -> int:
        """Prompt length of a conversation, chat template and images included.

        Raises RequestRefused for images that the server does not count: one from before
        ``/v1/chat/completions/input_tokens``, or one that cannot read them.
        """
        held = self._instance(instance)
        if any(message.images for message in messages):
            return await held.count_with_images(messages)
        body = {"messages": [{"role": m.role, "content": m.content} for m in messages]}
        prompt = await held.post("/apply-template", body)
        answer = await held.post(
            "/tokenize", {"content": prompt["prompt"], "add_special": True, "parse_special": True}
        )
        return len(answer["tokens"])

    async def metrics(self, instance: str) -> Mapping[str, float]:
        """The server's counters (``GET /metrics``)."""
        return await self._instance(instance).metrics()

    async def answers(self, instance: str) -> bool:
        """Whether the server answers at all (``GET /health``); one that computes does."""
        held = self._instances.get(instance)
        return held is not None and await held.answers()

    def launch_command(self, model: LocalModel, plan: Plan) -> tuple[str, ...]:
        """The ``llama-server`` command for the same load, as a person would type it."""
        binary = self._binary or "llama-server"
        words = server_words(binary, model.path, plan, None, projector=model.projector)
        return (*COUNTED, *words) if plan.split is not None and plan.gpu_layers else words


def _build_of(binary: str) -> tuple[str, int, int]:
    status = Path(binary).stat()
    return binary, status.st_mtime_ns, status.st_size


async def _output(*command: str) -> tuple[int, tuple[str, ...]]:
    child = await ChildProcess.start(command)
    try:
        return await child.wait(), child.log()
    finally:
        await child.stop(grace_s=0.2)


async def _probe_binary(binary: str) -> Probe:
    _, lines = await _output(binary, "--version")
    build = next(
        (clean_line(found[1], 60) for line in lines if (found := _VERSION.match(line))), ""
    )
    code, lines = await _output(binary, "--list-devices")
    devices = tuple(
        Device(found[1], clean_line(found[2]), int(found[3]) * _MIB, int(found[4]) * _MIB)
        for line in lines
        if (found := _DEVICE.match(line))
    )
    if code != 0 and not build:
        raise ValueError(lines[-1] if lines else exit_words(code))
    cpu = Device("CPU", "", None, None)
    return Probe(True, build=build, where=binary, devices=(*devices, cpu))


async def _probe_wheel() -> Probe:
    code, lines = await _output(*worker_command(WHEEL_MODULE), "--devices")
    if code != 0 or not lines:
        raise ValueError(lines[-1] if lines else exit_words(code))
    answer = json.loads(lines[-1])
    devices = tuple(
        Device(
            clean_line(str(device["name"])),
            clean_line(str(device["description"])),
            device["memory_total_bytes"],
            device["memory_free_bytes"],
        )
        for device in answer["devices"]
    )
    return Probe(True, build=_wheel_build(), where="the xllamacpp wheel", devices=devices)


def _wheel_build() -> str:
    return f"xllamacpp {importlib.metadata.version('xllamacpp')}"
