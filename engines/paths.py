"""Where files live: the XDG base directories, made private (0700) when first used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_APP = "modeldeck"


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    base = Path(value) if value.startswith("/") else Path.home() / fallback
    return base / _APP


def config_dir() -> Path:
    """``$XDG_CONFIG_HOME/modeldeck``; not created."""
    return _xdg("XDG_CONFIG_HOME", ".config")


def data_dir() -> Path:
    """``$XDG_DATA_HOME/modeldeck``; not created."""
    return _xdg("XDG_DATA_HOME", ".local/share")


def cache_dir() -> Path:
    """``$XDG_CACHE_HOME/modeldeck``; not created."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def private_dir(path: Path) -> Path:
    """``path`` as a directory only its owner can enter. Raises OSError when it cannot be made."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def is_folder(path: Path) -> bool | None:
    """Whether there is a folder at ``path``; None where this user may not even ask.

    ``Path.is_dir`` raises there before Python 3.14.
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (PermissionError, OverflowError):
        return None
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether there is a regular file at ``path`` that this user may ask about."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError, OverflowError):
        return False


def home_relative(path: Path) -> str:
    """``path`` as people write it: below the home directory with ``~``."""
    home, text = str(Path.home()), str(path)
    return "~" + text[len(home) :] if text == home or text.startswith(home + "/") else text
