"""The arrows between the rooms hold, and what should start light does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LINT = """
import sys
sys.path = [{tree!r}, *(entry for entry in sys.path if not entry.endswith(".pkg"))]
from importlinter.cli import lint_imports_command
lint_imports_command(["--no-logo", "--no-cache"])
"""

RUN = """
import json, sys
from modeldeck.tui.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

IMPORT_ALL = """
import importlib, json, pkgutil, sys
from modeldeck import engines
absent = {}
names = [found.name for found in pkgutil.walk_packages(engines.__path__, "modeldeck.engines.")]
for name in names:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        absent[name] = error.name
print(json.dumps([names, absent, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def python(code: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a Python of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200"},
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the project's code, as the package ``modeldeck``."""
    for room in ("engines", "tui", "themes"):
        shutil.copytree(
            ROOT / room,
            tmp_path / "modeldeck" / room,
            ignore=lambda _, names: [name for name in names if "." in name and name[-3:] != ".py"],
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return python(LINT.format(tree=str(tree)), cwd=tree)


def test_the_arrows_between_the_rooms_hold(tree: Path) -> None:
    done = lint(tree)

    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("engines.text", "textual"),
        ("engines.fit.types", "rich"),
        ("engines.meter", "modeldeck.tui.state"),
        ("engines.text", "modeldeck.themes"),
        ("engines.contract", "modeldeck.engines.adapters"),
        ("engines.formats.gguf", "modeldeck.engines.fit.types"),
        ("engines.workers.child", "modeldeck.engines.adapters"),
        ("tui.widgets.line", "modeldeck.engines.adapters"),
    ],
)
def test_an_arrow_the_wrong_way_is_reported(tree: Path, module: str, imported: str) -> None:
    path = tree.joinpath("modeldeck", *module.split(".")).with_suffix(".py")
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\nimport {imported}\n")

    done = lint(tree)

    assert done.returncode != 0
    assert f"modeldeck.{module} -> {imported}" in done.stdout


def test_a_room_that_has_no_place_in_the_order_is_reported(tree: Path) -> None:
    (tree / "modeldeck" / "engines" / "attic.py").touch()

    done = lint(tree)

    assert done.returncode != 0
    assert "modeldeck.engines.attic" in done.stdout


def test_every_module_of_the_engine_room_loads_without_textual_or_rich() -> None:
    names, absent, loaded = json.loads(last_line(python(IMPORT_ALL)))

    assert len(names) > 20
    assert "modeldeck.engines.contract" in names
    assert not {"textual", "rich"} & set(loaded)
    # only training asks for what is not installed with the deck
    assert set(absent.values()) <= {"torch", "tokenizers"}
    assert all(name.startswith("modeldeck.engines.demo.") for name in absent)


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["--help"],
        ["ls", "--help"],
        ["keys"],
        ["ls"],
        ["engines"],
        ["gpu"],
        ["chat", "-m", "nothing", "hi"],
        ["demo", "-n", "2", "hi"],
    ],
)
def test_commands_start_without_textual(words: list[str]) -> None:
    loaded = set(json.loads(last_line(python(RUN, *words))))

    assert "modeldeck" in loaded
    assert not {"textual", "numpy", "xllamacpp", "huggingface_hub"} & loaded


def test_saying_the_version_loads_next_to_nothing() -> None:
    loaded = set(json.loads(last_line(python(RUN, "--version"))))

    assert not {"asyncio", "httpx", "pydantic", "rich", "sqlite3"} & loaded


@pytest.mark.parametrize("room", ["engines", "tui", "themes"])
def test_the_rooms_have_one_import_name(room: str, tmp_path: Path) -> None:
    module = f"import modeldeck.{room}; print(modeldeck.{room}.__path__[0])"

    assert Path(last_line(python(module, cwd=tmp_path))).resolve() == ROOT / room
    assert "ModuleNotFoundError" in python(f"import {room}", cwd=tmp_path).stderr
