"""Two decks change the settings at the same moment: neither undoes what the other has set."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.support.pairs import pair

_SET = """
from pathlib import Path
from modeldeck.tui.settings_file import save_setting

def turn(path, key, value):
    save_setting(Path(path), key, value)
"""


def test_each_keeps_its_own_setting_and_the_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('# mine\ntheme = "a" # dark\n\n[keys]\n"chat.new" = "n" # quick\n')
    with pair(_SET) as decks:
        for number in range(60):
            decks.turn((path, "theme", f"theme-{number}"), (path, "gpu", f"card-{number}"))
            table = tomllib.loads(path.read_text())
            assert (table["theme"], table["gpu"]) == (f"theme-{number}", f"card-{number}")
    assert path.read_text() == (
        '# mine\ntheme = "theme-59" # dark\ngpu = "card-59"\n\n[keys]\n"chat.new" = "n" # quick\n'
    )
    assert list(tmp_path.iterdir()) == [path]


def test_of_one_setting_the_last_writer_wins_whole(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    with pair(_SET) as decks:
        for number in range(20):
            values = (f"ink-{number}", f"paper-{number}" * 50)
            decks.turn(*((path, "theme", value) for value in values))
            assert tomllib.loads(path.read_text())["theme"] in values
