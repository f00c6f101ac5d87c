"""The words after ``modeldeck search``."""

from __future__ import annotations

import argparse

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.units import parse_tokens
from modeldeck.tui.hub_state import KINDS, SORTS


def add_search_arguments(search: argparse.ArgumentParser) -> None:
    """Teach the parser its options."""
    search.add_argument(
        "text",
        nargs="*",
        metavar="TEXT",
        help="words of names, or owner/name for the variants of one repository",
    )
    search.add_argument("--author", default="", metavar="NAME", help="whose repositories")
    search.add_argument("--task", default="", metavar="TASK", help="e.g. text-generation")
    search.add_argument(
        "--params", default="", metavar="RANGE", help="parameters: 7B-14B, '<9B' or '>30B'"
    )
    search.add_argument(
        "--format",
        default="",
        choices=KINDS[1:],
        metavar="FORMAT",
        help=f"of the weights: {', '.join(KINDS[1:])}",
    )
    search.add_argument(
        "--sort", default=SORTS[0], choices=SORTS, metavar="HOW", help=", ".join(SORTS)
    )
    search.add_argument(
        "--limit", type=_count, default=20, metavar="N", help="repositories at most; 20 unless set"
    )
    search.add_argument("--ollama", action="store_true", help="in Ollama's library")
    search.add_argument(
        "--ctx", type=_tokens, metavar="N", help="context in tokens to judge variants for"
    )


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:6]) <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 to 1000.")
    return int(text)


def _tokens(text: str) -> int:
    try:
        return parse_tokens(text)
    except ModeldeckError as error:
        raise argparse.ArgumentTypeError(f"{error.cause} {error.next_step}") from None
