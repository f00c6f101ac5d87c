"""The user's settings: one TOML file into one frozen record. A bad line never stops the deck."""

from __future__ import annotations

import difflib
import os
import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.paths import config_dir, private_dir
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import KvType
from modeldeck.tui.actions import ACTIONS, key_code

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user can set.

    Attributes:
        model_dirs: folders to look for models in.
        gpu: name of a card to judge for instead of the one here; None judges for what is here.
        vram: size of a card to judge for, as text (``12GiB``).
        theme: name of a colour theme.
        context_tokens: context that verdicts and loads are for.
        kv_type: type of the KV cache for the same.
        keymap: action id to its keys, only where the user changed them.
        engines: each engine's own table.
    """

    model_dirs: tuple[Path, ...] = ()
    gpu: str | None = None
    vram: str | None = None
    theme: str = "deck-dark"
    context_tokens: int = 8192
    kv_type: KvType = "f16"
    keymap: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _EMPTY)
    engines: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: _EMPTY)


def settings_path() -> Path:
    """``$XDG_CONFIG_HOME/modeldeck/config.toml``."""
    return config_dir() / "config.toml"


def load_settings(path: Path | None = None) -> tuple[Settings, tuple[str, ...]]:
    """Read the settings and the problems met, each as a sentence with what to do.

    A missing file is no problem unless it was named. A file that is no TOML gives the defaults and
    one problem.
    """
    file = path or settings_path()
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        named = (f"There is no settings file {file}; the defaults are used.",) if path else ()
        return Settings(), named
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = clean_line(str(error))
        return Settings(), (f"{file} cannot be read ({reason}); the defaults are used.",)
    return settings_of(table)


def settings_of(table: Mapping[str, Any]) -> tuple[Settings, tuple[str, ...]]:
    """Settings out of a parsed file, and the problems. Pure."""
    problems: list[str] = []
    settings = Settings()
    known = ("model_dirs", "gpu", "vram", "theme", "context_tokens", "kv_type", "keys", "engines")
    for key, value in table.items():
        match key, value:
            case "model_dirs", list() if all(isinstance(item, str) for item in value):
                folders = tuple(Path(item).expanduser() for item in value)
                settings = replace(settings, model_dirs=folders)
            case "gpu", str():
                settings = replace(settings, gpu=value)
            case "vram", str():
                settings = replace(settings, vram=value)
            case "theme", str():
                settings = replace(settings, theme=value)
            case "context_tokens", int() if not isinstance(value, bool) and value >= 256:
                settings = replace(settings, context_tokens=value)
            case "kv_type", str() if value in get_args(KvType):
                settings = replace(settings, kv_type=_kv_type(value))
            case "keys", dict():
                settings = replace(settings, keymap=_keymap(value, problems))
            case "engines", dict():
                tables = {name: t for name, t in value.items() if isinstance(t, dict)}
                settings = replace(settings, engines=tables)
            case _:
                problems.append(_complaint(key, known))
    return settings, tuple(problems)


def _kv_type(value: str) -> KvType:
    return next(kind for kind in get_args(KvType) if kind == value)


def _complaint(key: str, known: tuple[str, ...]) -> str:
    name = clean_line(key, 60)
    if key in known:
        return f"The setting {name} has a value that cannot be used; see the README."
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "take it out."
    return f"There is no setting called {name}; {hint}"


def _keymap(table: Mapping[str, Any], problems: list[str]) -> Mapping[str, tuple[str, ...]]:
    keymap: dict[str, tuple[str, ...]] = {}
    ids = [entry.id for entry in ACTIONS]
    for action_id, value in table.items():
        words = [value] if isinstance(value, str) else value
        if action_id not in ids:
            near = difflib.get_close_matches(action_id, ids, n=1)
            hint = f"did you mean {near[0]}?" if near else "see: modeldeck keys."
            problems.append(f"[keys] has no action {clean_line(action_id, 60)}; {hint}")
        elif not isinstance(words, list) or not all(isinstance(w, str) and w for w in words):
            problems.append(f"[keys] {action_id} is no key and no list of keys.")
        else:
            keymap[action_id] = tuple(key_code(word) for word in words)
    for action_id in list(_clashes(keymap)):
        problems.append(f"[keys] {action_id} takes a key that another action has; it is left out.")
        del keymap[action_id]
    return keymap


def _clashes(keymap: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """The remapped actions whose key another action of the same place already has."""
    for entry in ACTIONS:
        if entry.id not in keymap:
            continue
        for other in ACTIONS:
            together = entry.place == other.place or "everywhere" in (entry.place, other.place)
            if other.id == entry.id or not together:
                continue
            taken = keymap.get(other.id, other.keys)
            was_shared = set(entry.keys) & set(other.keys)
            if set(keymap[entry.id]) & set(taken) - was_shared:
                yield entry.id
                break


def save_setting(path: Path, key: str, value: str) -> None:
    """Set one top-level text setting and leave every other line of the file as it is.

    Raises:
        SettingsError: the file cannot be written.
    """
    line = f"{key} = {_toml_text(value)}"
    try:
        private_dir(path.parent)
        old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        top = next((i for i, text in enumerate(old) if text.lstrip().startswith("[")), len(old))
        assignment = re.compile(rf"^\s*{re.escape(key)}\s*=")
        at = next((i for i in range(top) if assignment.match(old[i])), None)
        new = [*old]
        if at is None:
            new.insert(0, line)
        else:
            new[at] = line
        text = "\n".join(new) + "\n"
        tomllib.loads(text)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".config-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"The setting {key} could not be kept in {path} ({clean_line(str(error))}).",
            f"Write it there yourself: {line}",
        ) from error


def _toml_text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
