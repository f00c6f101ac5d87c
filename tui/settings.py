"""The user's settings: one TOML file into one frozen record. A bad line never stops the deck."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, cast, get_args

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.paths import config_dir
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import KvType
from modeldeck.engines.units import parse_size
from modeldeck.tui.settings_file import save_setting as save_setting
from modeldeck.tui.terminal import ColorChoice

LEAST_CONTEXT_TOKENS: Final = 256

_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})
_EXPECTED: Final = {
    "model_dirs": 'a list of folders, like ["~/models"]',
    "gpu": 'the name of a card, like "RTX 3060 12GB"',
    "vram": 'a size, like "12GiB"',
    "theme": "the name of a theme, in quotes",
    "context_tokens": f"a whole number of tokens, {LEAST_CONTEXT_TOKENS} or more",
    "kv_type": f"one of {', '.join(get_args(KvType))}, in quotes",
    "color": f"one of {', '.join(get_args(ColorChoice))}, in quotes",
    "mouse": "true or false",
    "trash_days": "days that deleted models can be brought back, 0 to 3650",
    "pulls_at_once": "downloads that run at the same time, 1 to 8",
    "night": 'the hours for downloads of the night, like "23:00-07:00"',
    "unload_after_minutes": "minutes without a question, 1 to 10080; 0 unloads nothing by itself",
    "batch_ms": "milliseconds between two drawings of what streams, 20 to 5000",
    "keys": "a table of actions and their keys",
    "engines": "a table for each engine, like [engines.llama_server]",
}


class Settings(NamedTuple):
    """What the user can set.

    Attributes:
        model_dirs: folders to look for models in; absolute.
        gpu: name of a card to judge for instead of the one here; None judges for what is here.
        vram: size of a card to judge for, as text (``12GiB``).
        theme: name of a colour theme; None chooses one for the terminal.
        context_tokens: context that verdicts and loads are for.
        kv_type: type of the KV cache for the same.
        color: how many colours to send; ``auto`` asks the environment.
        mouse: whether the deck takes the mouse; without, the terminal keeps it for selecting.
        batch_ms: time between two drawings of what streams; None follows the terminal.
        unload_after_minutes: a model that nobody asks for so long gives its memory back; 0: never.
        trash_days: how long the trash keeps what was deleted.
        pulls_at_once: downloads that run at the same time.
        night: first and last minute of the day for downloads of the night.
        keymap: action id to its keys, only where the user changed them.
        engines: each engine's own table, by the engine's name.
    """

    model_dirs: tuple[Path, ...] = ()
    gpu: str | None = None
    vram: str | None = None
    theme: str | None = None
    context_tokens: int = 8192
    kv_type: KvType = "f16"
    color: ColorChoice = "auto"
    mouse: bool = True
    batch_ms: int | None = None
    unload_after_minutes: int = 0
    trash_days: int = 14
    pulls_at_once: int = 2
    night: tuple[int, int] = (23 * 60, 7 * 60)
    keymap: Mapping[str, tuple[str, ...]] = _EMPTY
    engines: Mapping[str, Mapping[str, object]] = _EMPTY


def settings_path() -> Path:
    """``$XDG_CONFIG_HOME/modeldeck/config.toml``."""
    return config_dir() / "config.toml"


def load_settings(path: Path | None = None) -> tuple[Settings, tuple[str, ...]]:
    """Read the settings and the problems met, each a sentence or two with what to do. Never raises.

    A missing file is no problem unless it was named. A file that is no TOML gives the defaults and
    one problem, which says where in the file.
    """
    file = path or settings_path()
    shown = clean_line(str(file))
    try:
        table = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        named = (f"There is no settings file {shown}; the defaults are used.",) if path else ()
        return Settings(), named
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        problem = f"The settings in {shown} cannot be read ({clean_line(reason or '')})"
        return Settings(), (f"{problem}; the defaults are used until that is mended.",)
    return settings_of(table)


def settings_of(table: Mapping[str, Any]) -> tuple[Settings, tuple[str, ...]]:
    """Settings out of a parsed file, and the problems. What cannot be used keeps its default."""
    problems: list[str] = []
    settings = Settings()
    for key, value in table.items():
        match key, value:
            case "model_dirs", str() | list():
                settings = settings._replace(model_dirs=_folders(cast("object", value), problems))
            case "gpu", str() if _is_card(value):
                settings = settings._replace(gpu=value)
            case "vram", str() if _is_size(value):
                settings = settings._replace(vram=value)
            case "theme", str() if value:
                settings = settings._replace(theme=clean_line(value, 60))
            case "context_tokens", int() if value >= LEAST_CONTEXT_TOKENS:
                settings = settings._replace(context_tokens=value)
            case "kv_type", str() if kinds := [k for k in get_args(KvType) if k == value.lower()]:
                settings = settings._replace(kv_type=kinds[0])
            case "color", str() if values := [c for c in get_args(ColorChoice) if c == value]:
                settings = settings._replace(color=values[0])
            case "batch_ms", int() if 20 <= value <= 5000:
                settings = settings._replace(batch_ms=value)
            case "trash_days", int() if 0 <= value <= 3650 and not isinstance(value, bool):
                settings = settings._replace(trash_days=value)
            case "unload_after_minutes", int() if type(value) is int and 0 <= value <= 10080:
                settings = settings._replace(unload_after_minutes=value)
            case "pulls_at_once", int() if 1 <= value <= 8 and not isinstance(value, bool):
                settings = settings._replace(pulls_at_once=value)
            case "night", str() if (hours := _hours(value)) is not None:
                settings = settings._replace(night=hours)
            case "mouse", bool():
                settings = settings._replace(mouse=value)
            case "keys", dict():
                from modeldeck.tui.keymap import keymap_of

                keymap, found = keymap_of(cast("dict[str, Any]", value))
                settings = settings._replace(keymap=keymap)
                problems += found
            case "engines", dict():
                tables = _engine_tables(cast("dict[str, object]", value), problems)
                settings = settings._replace(engines=tables)
            case _:
                problems.append(_complaint(key))
    return settings, tuple(problems)


def _hours(value: str) -> tuple[int, int] | None:
    """First and last minute of the day of ``23:00-07:00``; None when it says something else."""
    found = re.fullmatch(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})", value.strip())
    if found is None:
        return None
    begins, ends = (60 * int(found[n]) + int(found[n + 1]) for n in (1, 3))
    sound = all(int(found[n]) < 24 and int(found[n + 1]) < 60 for n in (1, 3)) and begins != ends
    return (begins, ends) if sound else None


def _complaint(key: str) -> str:
    if key in _EXPECTED:
        return f"The setting {key} must be {_EXPECTED[key]}; its default is used."
    import difflib  # for mistakes alone

    near = difflib.get_close_matches(key, _EXPECTED, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(_EXPECTED)}."
    return f"There is no setting called {clean_line(key, 60)}; {hint}"


def _folders(value: object, problems: list[str]) -> tuple[Path, ...]:
    folders: list[Path] = []
    for item in cast("list[object]", value) if isinstance(value, list) else [value]:
        folder = _folder(item)
        if folder is None:
            shown = clean_line(str(item), 60)
            problems.append(
                f"In model_dirs, “{shown}” is no folder; write the whole path, or begin with ~/."
            )
        else:
            folders.append(folder)
    return tuple(dict.fromkeys(folders))


def _folder(item: object) -> Path | None:
    """The absolute path that is meant; whether it is there is for those who look into it."""
    if not isinstance(item, str) or "\0" in item:
        return None
    try:
        folder = Path(item).expanduser()
    except RuntimeError:  # ~nobody
        return None
    return folder if folder.is_absolute() else None


def _is_card(name: str) -> bool:
    from modeldeck.engines.fit.card_group import (
        cards_named,
    )  # reads the table of cards: about 10 ms

    try:
        cards_named(name, 0)
    except SettingsError:
        return False
    return True


def _is_size(text: str) -> bool:
    try:
        return parse_size(text) > 0
    except SettingsError:
        return False


def _engine_tables(
    value: Mapping[str, object], problems: list[str]
) -> Mapping[str, Mapping[str, object]]:
    tables: dict[str, Mapping[str, object]] = {}
    for name, table in value.items():
        if isinstance(table, dict):
            tables[name.replace("-", "_")] = cast("dict[str, object]", table)
        else:
            shown = clean_line(name, 60)
            problems.append(
                f"In [engines], {shown} belongs to no engine; put it below [engines.NAME]."
            )
    return tables
