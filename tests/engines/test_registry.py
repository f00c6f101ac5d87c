"""Engines come through entry points; a broken one is reported and harms nobody."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from modeldeck.engines.errors import EngineError, EngineMissing
from modeldeck.engines.registry import GROUP, create, create_all, engine_names


def install(folder: Path, name: str, target: str, source: str = "") -> None:
    """Put a package that offers the engine ``name`` into ``folder``, as pip would."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {target}\n")
    if source:
        (folder / f"{target.partition(':')[0]}.py").write_text(source)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that Python looks into."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


GOOD = """
from modeldeck.engines.scripted import ScriptedEngine

class Engine(ScriptedEngine):
    def __init__(self):
        super().__init__(name="third_party")
"""


def test_a_strangers_engine_is_found_and_made(site: Path) -> None:
    install(site, "third-party", "third_party_good:Engine", GOOD)

    assert "third_party" in engine_names()
    assert "third_party_good" not in sys.modules
    assert create("third-party").info.name == "third_party"
    assert create("Third_Party").info.name == "third_party"


def test_an_unknown_name_says_which_there_are(site: Path) -> None:
    install(site, "third_party", "third_party_good:Engine")

    with pytest.raises(EngineMissing) as missing:
        create("no\x1bsuch")
    assert "\x1b" not in str(missing.value)
    assert "third_party" in missing.value.next_step


@pytest.mark.parametrize(
    ("target", "source"),
    [
        ("broken_gone:Engine", ""),
        ("broken_raises:Engine", "raise RuntimeError('no card')"),
        ("broken_making:Engine", "class Engine:\n    def __init__(self): 1 / 0"),
        ("broken_attribute:Engine", "x = 1"),
        ("broken_kind:Engine", "class Engine: pass"),
    ],
)
def test_a_broken_engine_never_harms_the_others(site: Path, target: str, source: str) -> None:
    install(site, "broken", target, source)
    install(site, "third_party", "third_party_good:Engine", GOOD)

    with pytest.raises(EngineError) as failed:
        create("broken")
    engines, failures = create_all()

    assert failed.value.cause
    assert failed.value.next_step
    assert "third_party" in {engine.info.name for engine in engines}
    assert [failure.cause for failure in failures if "broken" in failure.cause]


def test_the_decks_own_engine_comes_through_the_same_door() -> None:
    if "llama_server" not in engine_names():
        pytest.skip("the package is not installed, only on the path")
    assert isinstance(create("llama-server"), LlamaServerEngine)
