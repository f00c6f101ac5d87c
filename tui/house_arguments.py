"""The words after the commands that keep the disk in order."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Final

HOUSE_COMMANDS: Final = frozenset({"ls", "rm", "dedupe", "prune", "updates", "import"})
"""Commands of ``house_command``; of ``ls`` only ``ls --disk``."""


def add_house_arguments(parsers: Mapping[str, argparse.ArgumentParser]) -> None:
    """Teach the parsers of these commands their options."""
    parsers["ls"].add_argument(
        "--disk", action="store_true", help="what the models take on the disk, by store"
    )
    rm = parsers["rm"]
    rm.add_argument("models", nargs="*", metavar="MODEL", help="a name from ls, or a path")
    rm.add_argument("--for-good", action="store_true", help="not to the trash")
    rm.add_argument("--yes", action="store_true", help="do not ask")
    rm.add_argument(
        "--undo", action="store_true", help="bring back what was deleted last, or what is named"
    )
    parsers["prune"].add_argument(
        "--apply", action="store_true", help="do it; without, only say what"
    )
    give = parsers["import"]
    give.add_argument("model", metavar="GGUF", help="a file, or a name from ls")
    give.add_argument("name", nargs="?", metavar="NAME", help="in Ollama, like qwen3:8b")
    give.add_argument("--copy", action="store_true", help="allow a copy where it takes one")
    give.add_argument("--dry-run", action="store_true", help="only say what would be done")
    dedupe = parsers["dedupe"]
    dedupe.add_argument("--apply", action="store_true", help="do it; without, only say what")
    method = dedupe.add_mutually_exclusive_group()
    for name, text in (
        ("reflink", "share blocks (Btrfs, XFS): what writes to one file changes only that"),
        ("hardlink", "one file with several names"),
    ):
        method.add_argument(f"--{name}", dest="method", action="store_const", const=name, help=text)
    dedupe.add_argument("--undo", action="store_true", help="take the last run back")
