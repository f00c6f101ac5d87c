"""What a user installs: built as for publishing, and installed into an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("engines", "tui", "themes")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

WHERE = """
import importlib.metadata, json
from modeldeck import engines, themes, tui
points = importlib.metadata.entry_points(group="modeldeck.engines")
print(json.dumps({
    "rooms": [list(room.__path__)[0] for room in (engines, themes, tui)],
    "engines": {point.name: point.load().__module__ for point in points},
    "provides": sorted(
        name for name, owners in importlib.metadata.packages_distributions().items()
        if "modeldeck" in owners
    ),
}))
"""


class Built(NamedTuple):
    """What ``python -m build`` leaves: the sdist, and the wheel made from that sdist."""

    sdist: Path
    wheel: Path


def run(*words: str | Path) -> str:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=120, env=environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT)
    [sdist] = out.glob("*.tar.gz")
    [wheel] = out.glob("*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of an environment that has the wheel, and this one's dependencies."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, symlinks=True)
    python = place / "bin" / "python"
    uv = (sys.executable, "-m", "uv", "pip", "install", "--no-cache", "--no-deps", "--no-index")
    run(*uv, "--python", python, built.wheel)
    [packages] = place.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return python.parent


def files_of_the_rooms() -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_file_of_the_rooms_under_one_name(built: Built) -> None:
    names = set(zipfile.ZipFile(built.wheel).namelist())
    packaged = {name for name in names if ".dist-info/" not in name}

    assert packaged == {f"modeldeck/{name}" for name in files_of_the_rooms()}
    assert {".py", ".tcss", ".toml", ".gguf"} <= {Path(name).suffix for name in packaged}
    assert {f"modeldeck/{room}/py.typed" for room in ROOMS} <= packaged


def test_the_sdist_holds_the_rooms_the_tests_and_the_papers(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert files_of_the_rooms() <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"} <= names
    assert "tests/test_wheel.py" in names
    assert not [name for name in names if name.startswith((".venv", ".pkg", ".git/"))]


def test_an_installed_deck_starts(installed: Path) -> None:
    assert run(installed / "modeldeck", "--version") == f"modeldeck {PROJECT['version']}\n"
    assert "models.unload" in run(installed / "modeldeck", "keys")


def test_an_installed_deck_is_one_package_with_engines_that_load(installed: Path) -> None:
    found = json.loads(run(installed / "python", "-P", "-c", WHERE))

    assert all(Path(room).is_relative_to(installed.parent) for room in found["rooms"])
    assert found["provides"] == ["modeldeck"]
    declared = PROJECT["entry-points"]["modeldeck.engines"]
    assert found["engines"] == {name: value.partition(":")[0] for name, value in declared.items()}
