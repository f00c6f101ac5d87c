"""What must be true of the tree itself, whoever changes it."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path for room in ("engines", "tui", "themes") for path in (ROOT / room).rglob("*.py")
)
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

MAX_LINES = 450
MAX_FILE_BYTES = 10 * 1024 * 1024
_PINNED = re.compile(r"^[a-z0-9][a-z0-9.-]*==[^\s;]+( ; .+)? \\$")
_HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
_MACHINE_PATH = re.compile(r"(?<![\w.~])/(?:work|root|Users/\w)/")
_INDEX = re.compile(r"https?://[^\s\"']*/simple\b")


def tracked() -> list[Path]:
    """The files of the tree: what git tracks, or, outside a checkout, what a sdist would hold."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_says_what_it_is_and_stays_readable(module: Path) -> None:
    source = module.read_text(encoding="utf-8")

    assert ast.get_docstring(ast.parse(source)), "a module starts with what it is for"
    assert source.count("\n") <= MAX_LINES, "this is two files"


def test_no_file_names_a_machine_or_a_package_index() -> None:
    texts: dict[str, str] = {}
    for path in tracked():
        try:
            texts[name_of(path)] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            assert path.suffix in {".gguf", ".png"}, f"{path} is no text"

    assert {"Makefile", "pyproject.toml"} <= texts.keys()
    own = name_of(Path(__file__))
    found = {
        name: match[0]
        for name, text in texts.items()
        if name != own and (match := _MACHINE_PATH.search(text) or _INDEX.search(text))
    }
    assert not found


def test_no_file_is_heavy() -> None:
    assert not [path for path in tracked() if path.stat().st_size > MAX_FILE_BYTES]


def test_the_only_locks_are_the_hashed_requirements() -> None:
    names = {path.name for path in tracked()}

    assert not names & {"uv.lock", "poetry.lock", "pylock.toml"}
    assert {lock.stem for lock in LOCKS} >= {"setup", "base", "test", "check"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_pins_and_hashes_everything_and_names_no_host(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    lines = text.splitlines()

    assert "://" not in text
    assert [line for line in lines if not (_PINNED.match(line) or _HASH.match(line))] == []
    assert all(_HASH.match(after) for line, after in pairwise(lines) if "==" in line)


def test_the_locks_hold_every_dependency() -> None:
    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[^\w-]", requirement)[0] for requirement in requirements}

    base = names((ROOT / "requirements/base.txt").read_text(encoding="utf-8").splitlines())

    assert names(PROJECT["dependencies"]) <= base


def test_the_version_is_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert re.search(rf"^## \[{re.escape(PROJECT['version'])}\]", changelog, re.MULTILINE)


def test_the_licence_is_here() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")

    assert PROJECT["license"] == "MIT"
    assert licence.startswith("MIT License")
