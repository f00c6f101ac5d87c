"""Where the house keeps its own things, and one change of the stores at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Final

from modeldeck.engines.folder_lock import one_at_a_time
from modeldeck.engines.house.errors import HouseError
from modeldeck.engines.paths import data_dir, private_dir
from modeldeck.engines.text import clean_line

_PATIENCE_SECONDS: Final = 5.0


def house_dir() -> Path:
    """Where the journal is: ``house`` beside the database."""
    return data_dir() / "house"


def home_trash() -> Path:
    """The user's own trash: ``trash`` beside the database."""
    return data_dir() / "trash"


@contextlib.contextmanager
def my_turn(seconds: float = _PATIENCE_SECONDS) -> Generator[None]:
    """Let no other modeldeck of this user change the stores while the block runs.

    Args:
        seconds: how long to wait for it.

    Raises:
        HouseError: another one does, and takes its time.
    """
    try:
        folder = private_dir(house_dir())
    except OSError as error:
        raise HouseError(
            f"{clean_line(str(house_dir()))} cannot be made: {clean_line(error.strerror or '')}.",
            "Look at the rights of the folder above it.",
        ) from error
    with contextlib.ExitStack() as turn:
        try:
            turn.enter_context(one_at_a_time(folder, seconds))
        except BlockingIOError as error:
            raise HouseError(
                "Another modeldeck is changing the stores.",
                "Wait until it is done, then repeat it.",
            ) from error
        yield
