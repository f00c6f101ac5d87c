"""The pages say what the program does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from modeldeck.tui.actions import ACTIONS, COMMANDS, key_name
from modeldeck.tui.cli import main
from modeldeck.tui.keys_command import keys_page

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/cli.md",
        "docs/performance.md",
    )
]


def test_the_page_of_keys_is_current() -> None:
    kept = (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")
    assert kept == keys_page() + "\n", "run: modeldeck keys --markdown > docs/keys.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_the_readme_names_only_commands_and_keys_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmodeldeck (ls|chat|engines|gpu|demo|keys|[a-z]+)\b(?= )", readme))
    commands = {command.name for command in COMMANDS}
    assert {name for name in named if name in commands} >= {"ls", "chat", "engines", "gpu", "keys"}
    table = readme.split("## Keys")[1].split("## ")[0]
    keys = set(re.findall(r"`([^`\s]+)`", "\n".join(re.findall(r"^\|([^|]+)\|", table, re.M))))
    known = {key_name(key) for action in ACTIONS for key in action.keys}
    assert keys <= known
    assert len(keys) >= 8


def test_the_command_lines_page_has_every_command() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"## `modeldeck {command.name}" in page


@pytest.mark.parametrize(
    "words",
    [
        ["ls"],
        ["fit", "modeldeck-demo"],
        ["engines"],
        ["gpu"],
        ["doctor"],
        ["keys"],
        ["dedupe"],
        ["prune"],
        ["demo", "-n", "3", "hi"],
    ],
)
def test_the_keys_of_the_json_are_the_documented_ones(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    # What demo prints is described where chat is.
    title = "chat -m" if words[0] == "demo" else words[0]
    section = page.split(f"## `modeldeck {title}")[1].split("\n## ")[0]
    first_cells = re.findall(r"^\|((?: *`\w+`,?)+) *\|", section, re.MULTILINE)
    documented = re.findall(r"`(\w+)`", " ".join(first_cells))

    assert main([*words, "--json"]) == 0

    printed: list[dict[str, object]] | dict[str, object] = json.loads(capsys.readouterr().out)
    record = printed[0] if isinstance(printed, list) else printed
    assert documented == list(record)
