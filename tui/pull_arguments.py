"""The words after ``modeldeck pull`` and ``modeldeck pulls``."""

from __future__ import annotations

import argparse

from modeldeck.engines.units import parse_size

VERBS = ("pause", "resume", "cancel", "retry", "first", "limit", "clear")
"""What may be done with downloads from the command line."""


def add_pull_arguments(pull: argparse.ArgumentParser, pulls: argparse.ArgumentParser) -> None:
    """Teach the two parsers their options."""
    pull.add_argument(
        "targets",
        nargs="+",
        metavar="TARGET",
        help="hf:repo[:file], ollama:name:tag or a URL",
    )
    pull.add_argument(
        "--to",
        default="",
        metavar="WHERE",
        help="hub, ollama, or a folder; by itself where the target belongs",
    )
    wait = pull.add_mutually_exclusive_group()
    wait.add_argument("--wait", action="store_true", default=None, help="stay until all is there")
    wait.add_argument(
        "--no-wait", action="store_false", dest="wait", help="leave at once; it goes on"
    )
    pull.add_argument("--night", action="store_true", help="download from 23:00 to 7:00 only")
    pull.add_argument(
        "--limit",
        type=rate,
        metavar="RATE",
        help="bytes a second that all downloads may take together, e.g. 10MB; 0 for no limit",
    )
    pull.add_argument(
        "--pickles", action="store_true", help="weights in pickles too: only if you trust them"
    )
    pulls.add_argument("verb", nargs="?", choices=VERBS, metavar="DO", help=", ".join(VERBS))
    pulls.add_argument("what", nargs="?", metavar="ID", help="a download, or the limit")


def rate(text: str) -> int:
    """Bytes a second; 0 for no limit. Raises argparse.ArgumentTypeError."""
    try:
        found = 0 if text.strip() == "0" else parse_size(text.removesuffix("/s"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no rate; write it like 10MB.") from error
    if 0 < found < 1024:
        raise argparse.ArgumentTypeError("a limit is at least 1 KiB a second, or 0 for none.")
    return found
