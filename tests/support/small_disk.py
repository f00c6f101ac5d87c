"""A disk of a few megabytes, and a program that sees it where its data would go.

It is a tmpfs in a mount namespace of the program's own, so that no right of root is needed.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

SIZE_MIB = 8
_ENTER = ("unshare", "--user", "--map-root-user", "--mount")


def why_not() -> str:
    """Why there can be no small disk here; empty where there can."""
    if shutil.which("unshare") is None:
        return "there is no unshare here"
    done = subprocess.run(
        [*_ENTER, "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else f"no mount namespace: {done.stderr.strip()}"


def on_small_disk(command: Sequence[str], folder: Path) -> list[str]:
    """The words that run ``command`` with a small, empty disk at ``folder``."""
    place = shlex.quote(str(folder))
    script = f"mount -t tmpfs -o size={SIZE_MIB}m none {place} && exec {shlex.join(command)}"
    return [*_ENTER, "sh", "-c", script]


def as_seen_by(pid: int, path: Path) -> Path:
    """``path`` as process ``pid`` sees it."""
    return Path(f"/proc/{pid}/root{path}")


def fill(folder: Path) -> Path:
    """Write a file that leaves no room at all, and return it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler
