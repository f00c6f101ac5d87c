"""Changing one line of the user's settings file, and not a byte of the rest."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.folder_lock import one_at_a_time
from modeldeck.engines.text import clean_line

Scalar = str | int | bool
_WAIT_SECONDS: Final = 2.0


def save_setting(path: Path, key: str, value: Scalar) -> None:
    """Set one top-level setting; comments and every other line stay as they are.

    The file is replaced at once (0600; a link to it stays a link), so that a deck that is killed
    here leaves either the old one or the new one. Decks that do this at the same time take turns,
    so that none undoes what another one has set.

    Args:
        path: the settings file; made when absent, with its folder (0700).
        key: a bare TOML key.
        value: its new value.

    Raises:
        SettingsError: the file is no TOML, cannot be written, or writes the setting in a way that
            only a person can change.
    """
    try:
        target = path.resolve()
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with one_at_a_time(target.parent, _WAIT_SECONDS):
            _replace(target, with_setting(_read(target), key, value))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsError(
            f"The setting {key} could not be kept in {path} ({clean_line(reason or '')}).",
            f"Write it there yourself: {_assignment(key, value)}",
        ) from error


def with_setting(text: str, key: str, value: Scalar) -> str:
    """``text`` with ``key`` set to ``value``. Pure.

    Every way of putting the line in is tried against the parser: the result must mean exactly what
    the text meant, but for this setting.

    Raises:
        ValueError: the text is no TOML, or no single line holds the setting.
        RecursionError: the text is nested too deeply to parse.
    """
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    text = text.removeprefix(bom)
    expected = {**tomllib.loads(text), key: value}
    for candidate in _candidates(text, key, value):
        if _means(candidate, expected):
            return bom + candidate
    raise ValueError("it is not written on one line there")


def _means(text: str, expected: dict[str, Any]) -> bool:
    try:
        # repr tells 1 from true and 1.0, and takes two NaN for the same.
        return repr(sorted(tomllib.loads(text).items())) == repr(sorted(expected.items()))
    except ValueError:
        return False


def _candidates(text: str, key: str, value: Scalar) -> Iterator[str]:
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    end = "\r\n" if "\r\n" in text else "\n"
    name = re.escape(key)
    simple = re.compile(
        rf"""(\s*(?:{name}|"{name}"|'{name}')\s*=\s*)"""
        r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'#\[{]+)(\s*(?:\#.*)?)""",
        re.DOTALL,
    )
    for i, line in enumerate(lines):
        if found := simple.fullmatch(line):
            changed = f"{found[1]}{_literal(value)}{found[2]}"
            yield "".join((*lines[:i], changed, *lines[i + 1 :]))
    new = _assignment(key, value) + end
    first_table = next(
        (i for i, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines)
    )
    # Below the last top-level setting: comments above the first table belong to the table.
    at = first_table
    while 0 < at < len(lines) and (not lines[at - 1].strip() or lines[at - 1].lstrip()[0] == "#"):
        at -= 1
    for place in (at, first_table, 0):
        before = "".join(lines[:place])
        if before and not before.endswith(("\n", "\r\n")):
            before += end
        yield before + new + "".join(lines[place:])


def _assignment(key: str, value: Scalar) -> str:
    return f"{key} = {_literal(value)}"


def _literal(value: Scalar) -> str:
    """A TOML literal: JSON's strings, numbers and booleans are TOML's, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""


def _replace(path: Path, text: str) -> None:
    import tempfile  # about 5 ms, and settings change rarely

    data = text.encode("utf-8")
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
