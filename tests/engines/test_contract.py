"""The engines that come with the deck keep the contract."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from modeldeck.engines.contract import Engine
from modeldeck.engines.scripted import Script, ScriptedEngine
from modeldeck.engines.testing import EngineContract, EngineHarness
from modeldeck.engines.types import LoadedModel, LocalModel, ModelFormat, Source
from tests.support.llama_server import install

# All that a terminal must not be sent, in words of one token each.
HOSTILE = ("\x1b[31m", "天", "\x9b1m", "\u202e", " e\u0301", "\x07", "\r", "\ufeff", "👩", " ok")


def model_called(name: str) -> LocalModel:
    path = Path(f"{name}.gguf")
    return LocalModel(name, path, (path,), Source.FOLDER, ModelFormat.GGUF, 1)


class TestScriptedEngine(EngineContract):
    @pytest.fixture
    def harness(self) -> EngineHarness:
        script = Script(
            reasoning=("Hm", "\x1b]0;title\x07"),
            answer=HOSTILE * 20,
            broken=frozenset({"broken"}),
        )

        def kill(engine: Engine, loaded: LoadedModel) -> None:
            assert isinstance(engine, ScriptedEngine)
            engine.die(loaded.instance)

        return EngineHarness(
            make=lambda: ScriptedEngine(script),
            model=model_called("good"),
            broken=model_called("broken"),
            seeing=model_called("seeing")._replace(projector=Path("mmproj.gguf")),
            kill=kill,
        )


@pytest.mark.real
class TestLlamaServerFromTheWheel(EngineContract):
    @pytest.fixture
    def harness(
        self,
        slow_model: LocalModel,
        broken_model: LocalModel,
        seeing_model: LocalModel,
        monkeypatch: pytest.MonkeyPatch,
    ) -> EngineHarness:
        monkeypatch.setenv("PATH", "")

        def kill(engine: Engine, loaded: LoadedModel) -> None:
            assert loaded.pid is not None
            os.kill(loaded.pid, signal.SIGKILL)

        return EngineHarness(
            make=LlamaServerEngine,
            model=slow_model,
            broken=broken_model,
            seeing=seeing_model,
            kill=kill,
        )


@pytest.mark.real
class TestLlamaServerFromABinary(EngineContract):
    @pytest.fixture
    def harness(
        self,
        slow_model: LocalModel,
        broken_model: LocalModel,
        seeing_model: LocalModel,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> EngineHarness:
        monkeypatch.setenv("PATH", str(install(tmp_path / "bin").parent))

        def kill(engine: Engine, loaded: LoadedModel) -> None:
            assert loaded.pid is not None
            os.kill(loaded.pid, signal.SIGKILL)

        return EngineHarness(
            make=LlamaServerEngine,
            model=slow_model,
            broken=broken_model,
            seeing=seeing_model,
            kill=kill,
        )
