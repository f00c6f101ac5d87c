"""Folders that may not be read, for root as well."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65534


@contextmanager
def closed(folder: Path) -> Generator[None]:
    """While this lasts nothing below ``folder`` can be asked about.

    Root may read everything, so that root becomes somebody else meanwhile, to whom all that it made
    for itself alone is closed.
    """
    folder.chmod(0)
    if os.geteuid() == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        folder.chmod(0o700)
