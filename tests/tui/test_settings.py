"""The settings file: what it may say, and that nothing in it stops the deck."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.text import clean
from modeldeck.tui.actions import ACTIONS, Action, remapped
from modeldeck.tui.settings import Settings, load_settings, save_setting, settings_of
from modeldeck.tui.settings_file import with_setting

FULL = """\
# my deck
model_dirs = ["~/models", "/srv/gguf"]
gpu = "rtx 3060 12gb"
vram = "12GiB"
theme = "paper"           # easy on the eyes
context_tokens = 16_384
kv_type = "Q8_0"

[keys]
models.sort = "j"
"chat.copy" = ["Y", "ctrl+y"]

[engines.llama-server]
binary = "~/llama.cpp/build/bin/llama-server"
threads = 6
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", "/home/ada")
    return tmp_path / "modeldeck" / "config.toml"


def loaded(path: Path, text: str) -> tuple[Settings, tuple[str, ...]]:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def keys_of(text: str) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    settings, problems = settings_of(tomllib.loads(f"[keys]\n{text}"))
    return dict(settings.keymap), problems


# Reading.


def test_no_file_means_the_defaults(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(path.parent.parent))
    assert load_settings() == (Settings(), ())
    settings, problems = load_settings(path)
    assert settings == Settings()
    assert len(problems) == 1
    assert str(path) in problems[0]


def test_the_file_is_found_where_xdg_says(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(path.parent.parent))
    loaded(path, 'theme = "paper"')
    assert load_settings() == (Settings(theme="paper"), ())


def test_everything_can_be_set(path: Path) -> None:
    settings, problems = loaded(path, "\ufeff" + FULL)
    assert problems == ()
    assert settings == Settings(
        model_dirs=(Path("/home/ada/models"), Path("/srv/gguf")),
        gpu="rtx 3060 12gb",
        vram="12GiB",
        theme="paper",
        context_tokens=16384,
        kv_type="q8_0",
        keymap={"models.sort": ("j",), "chat.copy": ("Y", "ctrl+y")},
        engines={
            "llama_server": {"binary": "~/llama.cpp/build/bin/llama-server", "threads": 6},
        },
    )


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('theme = "a"\ngpu = RTX\n', "line 2"),
        ("theme\n", "line 1"),
        ('theme = "a"\ntheme = "b"\n', "line 2"),
        ("a = " + "[" * 100_000, ""),
        ("a = " + "9" * 5000, ""),
    ],
)
def test_a_file_that_is_no_toml_gives_the_defaults_and_says_where(
    path: Path, text: str, where: str
) -> None:
    settings, problems = loaded(path, text)
    assert settings == Settings()
    assert len(problems) == 1
    assert str(path) in problems[0]
    assert where in problems[0]


def test_a_file_that_cannot_be_read_gives_the_defaults(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'theme = "\xff"')
    assert load_settings(path)[0] == Settings()
    assert len(load_settings(path)[1]) == 1
    assert load_settings(path.parent)[0] == Settings()
    assert len(load_settings(path.parent)[1]) == 1


@pytest.mark.parametrize(
    "line",
    [
        "model_dirs = 3",
        "gpu = 3060",
        'gpu = "Voodoo 2"',
        "vram = 12",
        'vram = "plenty"',
        'vram = "0"',
        "theme = true",
        'theme = ""',
        "context_tokens = 8",
        "context_tokens = true",
        'context_tokens = "8k"',
        'kv_type = "f64"',
        "keys = 1",
        "engines = []",
    ],
)
def test_a_value_that_cannot_be_used_is_named_and_the_rest_is_used(line: str) -> None:
    theme = "" if line.startswith("theme") else 'theme = "paper"\n'
    settings, problems = settings_of(tomllib.loads(theme + line))
    assert settings == (Settings(theme="paper") if theme else Settings())
    assert len(problems) == 1
    assert f"The setting {line.split()[0]} must be " in problems[0]


def test_a_name_that_is_not_known_is_answered_with_the_nearest() -> None:
    settings, problems = settings_of({"modeldirs": [], "qqqq\x1b[31m": 1})
    assert settings == Settings()
    assert "did you mean model_dirs?" in problems[0]
    assert "there are: model_dirs, gpu," in problems[1]
    assert "\x1b" not in problems[1]


def test_one_folder_that_makes_no_sense_does_not_take_the_others(path: Path) -> None:
    settings, problems = loaded(
        path, 'model_dirs = ["/a", 3, "models", "~nobody-here/x", "/b\\u0000", "~", "/a"]'
    )
    assert settings.model_dirs == (Path("/a"), Path("/home/ada"))
    assert len(problems) == 4
    assert settings_of({"model_dirs": "/a"}) == (Settings(model_dirs=(Path("/a"),)), ())


def test_an_engine_needs_a_table() -> None:
    settings, problems = settings_of({"engines": {"threads": 4, "ollama": {"host": "x"}}})
    assert settings.engines == {"ollama": {"host": "x"}}
    assert len(problems) == 1
    assert "threads" in problems[0]


# Keys.


@pytest.mark.parametrize(
    "text",
    [
        'models.sort = "j"',
        '"models.sort" = ["j"]',
        '[keys.models]\nsort = "j"',
    ],
)
def test_an_action_can_be_named_in_every_way_toml_has(text: str) -> None:
    assert keys_of(text) == ({"models.sort": ("j",)}, ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('models.srot = "j"', "did you mean models.sort?"),
        ('sort = "j"', "did you mean models.sort?"),
        ('zzz = "j"', "see: modeldeck keys"),
        ("models.sort = 3", 'it must be a key or a list of keys, like "s"'),
        ('models.sort = ["j", 3]', "it must be a key"),
        ("models.sort = []", "at least one key"),
        ('models.sort = "hyper+x"', "no key called “hyper+x”"),
        ('models.sort = "c"', "c belongs to models.context; its default is kept"),
        ('models.sort = "?"', "? belongs to everywhere.help; its default is kept"),
        ('everywhere.quit = "ctrl+r"', "ctrl+r belongs to chat.again"),
    ],
)
def test_a_key_that_cannot_be_used_keeps_the_default(text: str, said: str) -> None:
    keymap, problems = keys_of(text)
    assert keymap == {}
    assert len(problems) == 1
    assert said in problems[0]
    assert problems[0].startswith("[keys] ")


def test_keys_can_be_exchanged_and_used_again_in_another_place() -> None:
    assert keys_of('models.sort = "c"\nmodels.context = "s"\nengines.rescan = "s"') == (
        {"models.sort": ("c",), "models.context": ("s",), "engines.rescan": ("s",)},
        (),
    )


def test_of_two_lines_with_the_same_key_the_first_has_it() -> None:
    keymap, problems = keys_of('models.sort = "j"\nmodels.context = "j"')
    assert keymap == {"models.sort": ("j",)}
    assert len(problems) == 1
    assert "models.context: j belongs to models.sort" in problems[0]


def test_a_default_that_is_kept_takes_its_key_back() -> None:
    # sort may not have c, so it keeps s, so context may not have s either
    keymap, problems = keys_of('models.sort = "k"\nmodels.context = "s"')
    assert keymap == {}
    assert len(problems) == 2


def test_a_key_that_defaults_share_on_purpose_may_stay_shared() -> None:
    assert keys_of('chat.stop = ["escape", "ctrl+x"]') == (
        {"chat.stop": ("escape", "ctrl+x")},
        (),
    )


def clashes(actions: tuple[Action, ...]) -> set[frozenset[str]]:
    """Pairs of actions valid at the same time with a key in common."""
    return {
        frozenset({one.id, other.id})
        for one in actions
        for other in actions
        if one.id != other.id
        and (one.place == other.place or "everywhere" in (one.place, other.place))
        and set(one.keys) & set(other.keys)
    }


ids = st.sampled_from([action.id for action in ACTIONS]) | st.text(max_size=5)
written = st.sampled_from(["s", "c", "k", "?", "esc", "ctrl+o", "ctrl+n", "y", "enter", "o", "p"])


@given(st.dictionaries(ids, st.lists(written, max_size=3) | written | st.integers(), max_size=9))
def test_no_table_of_keys_leaves_two_actions_on_one_key(table: dict[str, Any]) -> None:
    settings, problems = settings_of({"keys": table})
    assert clashes(remapped(ACTIONS, settings.keymap)) <= clashes(ACTIONS)
    assert len(settings.keymap) + len(problems) == len(table)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
names = st.sampled_from(
    ["model_dirs", "gpu", "vram", "theme", "context_tokens", "kv_type", "keys", "engines"]
)


@given(st.dictionaries(names | st.text(max_size=9), values))
def test_nothing_in_the_file_stops_the_deck(table: dict[str, Any]) -> None:
    settings, problems = settings_of(table)
    assert all(isinstance(folder, Path) and folder.is_absolute() for folder in settings.model_dirs)
    assert all(problem == clean(problem) and problem.endswith((".", "?")) for problem in problems)


# Writing.


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'theme = "ink"\n'),
        ('theme = "paper"', 'theme = "ink"'),
        ("# deck\ntheme='paper' # nice\n\n", '# deck\ntheme="ink" # nice\n\n'),
        ('"theme" = "pa\\"per" #\n', '"theme" = "ink" #\n'),
        ("# only words", '# only words\ntheme = "ink"\n'),
        ('gpu = "x"\r\n[keys]\r\n', 'gpu = "x"\r\ntheme = "ink"\r\n[keys]\r\n'),
        (
            '# deck\ngpu = "x"\n\n# my keys\n[keys]\ntheme = "t"\n',
            '# deck\ngpu = "x"\ntheme = "ink"\n\n# my keys\n[keys]\ntheme = "t"\n',
        ),
        (
            'model_dirs = [\n  "a",\n]\n[keys]\n',
            'model_dirs = [\n  "a",\n]\ntheme = "ink"\n[keys]\n',
        ),
        (
            'a = [\n[1],\n[2]\n]\nb = """\ntheme = "x"\n"""\n',
            'theme = "ink"\na = [\n[1],\n[2]\n]\nb = """\ntheme = "x"\n"""\n',
        ),
        ('a = """\ntheme = "x"\n"""\ntheme = "y"', 'a = """\ntheme = "x"\n"""\ntheme = "ink"'),
        ("theme = 12\n", 'theme = "ink"\n'),
        ("\ufefftheme = true\n", '\ufefftheme = "ink"\n'),
    ],
)
def test_one_setting_changes_and_not_a_byte_of_the_rest(before: str, after: str) -> None:
    assert with_setting(before, "theme", "ink") == after


@pytest.mark.parametrize(("value", "line"), [(4096, "n = 4096\n"), (True, "n = true\n")])
def test_numbers_and_switches_are_written_as_such(value: int | bool, line: str) -> None:
    assert with_setting("", "n", value) == line
    assert with_setting("n = 1\n", "n", value) == line


@given(
    st.text(st.characters(codec="utf-8")),
    st.sampled_from([FULL, "", "# x", "a = 1\n[[b]]\nc = 2", 'x = ["#", "[", "\\u2028"]\n']),
)
def test_any_text_can_be_kept(value: str, before: str) -> None:
    after = with_setting(before, "theme", value)
    assert tomllib.loads(after) == {**tomllib.loads(before), "theme": value}
    assert with_setting(after, "theme", value) == after
    comments = [line.partition("#")[2] for line in before.splitlines() if "#" in line]
    assert all(comment in after for comment in comments)


def test_a_setting_that_is_kept_is_read_again(path: Path) -> None:
    save_setting(path, "theme", "paper")
    assert load_settings(path) == (Settings(theme="paper"), ())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_there_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir(mode=0o755)
    real, link = dotfiles / "deck.toml", tmp_path / "config.toml"
    real.write_text('theme = "paper" # mine\n')
    link.symlink_to(real)
    save_setting(link, "theme", "ink")
    assert link.is_symlink()
    assert real.read_text() == 'theme = "ink" # mine\n'
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert stat.S_IMODE(dotfiles.stat().st_mode) == 0o755


@pytest.mark.parametrize("text", ["theme = \n", 'theme = """\npaper"""\n', "theme = [\n1]\n"])
def test_what_only_a_person_can_change_is_left_alone(path: Path, text: str) -> None:
    loaded(path, text)
    with pytest.raises(SettingsError) as caught:
        save_setting(path, "theme", "ink")
    assert str(path) in caught.value.cause
    assert caught.value.next_step == 'Write it there yourself: theme = "ink"'
    assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_file_in_the_place_of_the_folder_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "modeldeck").write_text("")
    with pytest.raises(SettingsError):
        save_setting(tmp_path / "modeldeck" / "config.toml", "theme", "ink")
