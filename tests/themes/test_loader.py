from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.themes import TOKENS, ThemeData, load_themes

BUILT_IN = ["deck-dark", "deck-light", "deck-ansi", "deck-contrast"]


@pytest.fixture
def user_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "themes"
    folder.mkdir()
    return folder


def named(themes: tuple[ThemeData, ...], name: str) -> ThemeData:
    return next(theme for theme in themes if theme.name == name)


def test_the_packaged_themes_load_without_a_problem() -> None:
    themes, problems = load_themes()
    assert [theme.name for theme in themes] == BUILT_IN
    assert problems == ()
    assert all(set(theme.colors) == set(TOKENS) for theme in themes)
    assert [theme.dark for theme in themes] == [True, False, True, True]
    assert [theme.ansi for theme in themes] == [False, False, True, False]


def test_a_folder_that_is_not_there_is_no_problem(tmp_path: Path) -> None:
    assert load_themes(tmp_path / "none") == load_themes()


def test_a_theme_changes_one_colour_and_inherits_the_rest(user_dir: Path) -> None:
    (user_dir / "amber.toml").write_text('[colors]\nprimary = "#ffb454"\n')
    themes, problems = load_themes(user_dir)
    assert problems == ()
    amber, dark = named(themes, "amber"), named(themes, "deck-dark")
    assert dict(amber.colors) == {**dark.colors, "primary": "#ffb454"}
    assert amber.dark
    assert [theme.name for theme in themes] == [*BUILT_IN, "amber"]


def test_themes_inherit_from_each_other(user_dir: Path) -> None:
    (user_dir / "paper.toml").write_text('inherits = "deck-light"\n[colors]\nerror = "#aa0000"\n')
    (user_dir / "rose.toml").write_text('inherits = "paper"\n[colors]\nprimary = "#aa0055"\n')
    rose = named(load_themes(user_dir)[0], "rose")
    assert not rose.dark
    assert (rose.colors["error"], rose.colors["primary"]) == ("#aa0000", "#aa0055")


def test_a_users_theme_takes_the_place_of_a_packaged_one(user_dir: Path) -> None:
    mine = user_dir / "deck-dark.toml"
    mine.write_text('inherits = "deck-dark"\n[colors]\nprimary = "#ffb454"\n')
    themes, problems = load_themes(user_dir)
    assert problems == ()
    assert [theme.name for theme in themes] == BUILT_IN
    assert themes[0].colors["primary"] == "#ffb454"
    mine.write_text('[colors]\nprimary = "nonsense"\n')
    themes, problems = load_themes(user_dir)
    assert len(problems) == 1
    assert themes == load_themes()[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colors = [", "it is no TOML"),
        ('[colors]\nprimry = "#ffffff"', "no colour called primry; did you mean primary?"),
        ('[colours]\nprimary = "#ffffff"', "no setting called colours; did you mean colors?"),
        ('[colors]\nprimary = "tomato"', "primary is tomato; write a colour like #7fb4d8."),
        ('[colors]\nprimary = "#fff"', "primary is #fff"),
        ("[colors]\nprimary = 7", "primary is no text"),
        ('colors = "blue"', "colors is a table"),
        ('inherits = "nobody"', "there is no theme nobody to inherit from"),
        ("inherits = 3", "inherits is a theme's name"),
        ('dark = "yes"', "dark and ansi are true or false"),
        ('inherits = "bad"', "there is no theme bad to inherit from"),
        ('inherits = "other"', "it inherits from itself in the end"),
        ('inherits = "deck-ansi"\n[colors]\nprimary = "#00ff00"', "an ANSI theme has default"),
        ('inherits = "deck-light"\nansi = true', "an ANSI theme has default"),
        ('[colors]\nprimary = "\\u001b]0;pwned\\u0007"', "primary is  ]0;pwned ;"),
        ("a" * 70_000, "no regular file of at most 64 KiB"),
    ],
)
def test_a_bad_theme_is_one_problem_and_the_others_load(
    user_dir: Path, text: str, says: str
) -> None:
    (user_dir / "bad.toml").write_text(text)
    (user_dir / "other.toml").write_text('inherits = "bad"' if "other" in text else "")
    themes, problems = load_themes(user_dir)
    assert problems[0].startswith("The theme bad.toml is left out: ")
    assert says in problems[0]
    assert all(problem.isprintable() for problem in problems)
    assert [theme.name for theme in themes][:4] == BUILT_IN
    if "other" not in text:
        assert len(problems) == 1
        assert [theme.name for theme in themes][4:] == ["other"]


def test_bytes_that_are_no_text_are_a_problem(user_dir: Path) -> None:
    (user_dir / "bad.toml").write_bytes(b"\xff\xfe\x00")
    assert "it is no TOML" in load_themes(user_dir)[1][0]


def test_a_name_that_cannot_be_typed_is_a_problem(user_dir: Path) -> None:
    (user_dir / "My Theme\x1b[31m.toml").write_text("")
    assert load_themes(user_dir)[1] == (
        "The theme My Theme [31m.toml is left out: its name may have a-z, 0-9, _ and - only; "
        "rename it.",
    )


def test_only_regular_files_are_opened(user_dir: Path) -> None:
    import os

    os.mkfifo(user_dir / "pipe.toml")
    (user_dir / "folder.toml").mkdir()
    (user_dir / "gone.toml").symlink_to(user_dir / "nowhere")
    themes, problems = load_themes(user_dir)
    assert len(problems) == 3
    assert [theme.name for theme in themes] == BUILT_IN
