"""The command line: the same core as the deck, without importing Textual.

Exit codes: 0 ok, 1 failed, 2 usage, 3 does not fit.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from modeldeck.engines.errors import ModeldeckError
from modeldeck.tui.actions import COMMANDS

OK, FAILED, USAGE = 0, 1, 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modeldeck",
        description="The terminal deck for the models on a GPU box. Alone it opens the deck.",
        epilog="The deck's keys: modeldeck keys. Inside the deck: ? shows the keys that work now.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument(
        "--config", metavar="FILE", help="settings file to use instead of the usual"
    )
    parser.add_argument("--gpu", metavar="CARD", help='judge for this card, e.g. "RTX 3060 12GB"')
    parser.add_argument("--vram", metavar="SIZE", help="judge for a card of this size, e.g. 12GiB")
    parser.add_argument("--theme", metavar="NAME", help="colour theme of the deck")
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    parsers = {
        entry.name: commands.add_parser(
            entry.name, help=entry.description, description=entry.description
        )
        for entry in COMMANDS
    }
    for entry in parsers.values():
        entry.add_argument("--json", action="store_true", help="print JSON with stable keys")
    chat = parsers["chat"]
    chat.add_argument(
        "-m", "--model", required=True, metavar="MODEL", help="a name from ls, or a path"
    )
    for entry in (chat, parsers["demo"]):
        entry.add_argument(
            "prompt", nargs="?", help="the question; - or nothing reads standard input"
        )
        entry.add_argument("-s", "--system", default="", help="system prompt")
        entry.add_argument(
            "-n", "--max-tokens", type=_positive, metavar="N", help="stop after N tokens"
        )
        entry.add_argument("-c", "--ctx", type=_positive, metavar="N", help="context in tokens")
        entry.add_argument(
            "-t", "--temperature", type=float, metavar="T", help="sampling temperature"
        )
        entry.add_argument("--seed", type=int, metavar="N", help="seed of the sampler")
        entry.add_argument(
            "--engine", metavar="NAME", help="engine to use (see: modeldeck engines)"
        )
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def report(error: ModeldeckError) -> int:
    """Say an error on standard error: cause, then next step. Returns exit code 1."""
    print(f"modeldeck: {error.cause}", file=sys.stderr)  # noqa: T201
    print(f"  next: {error.next_step}", file=sys.stderr)  # noqa: T201
    return FAILED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, or open the deck. Returns the exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words == ["--version"]:
        print(f"modeldeck {version('modeldeck')}")  # noqa: T201
        return OK
    options = _parser().parse_args(words)
    if options.version:
        print(f"modeldeck {version('modeldeck')}")  # noqa: T201
        return OK
    try:
        return _run(options)
    except ModeldeckError as error:
        return report(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return FAILED
    except KeyboardInterrupt:
        return 128 + 2


def _run(options: argparse.Namespace) -> int:
    match options.command:
        case None:
            from modeldeck.tui.deck import open_deck  # Textual: about 0.3 s

            return open_deck(options)
        case "chat" | "demo":
            from modeldeck.tui.chat_command import run_chat  # asyncio and httpx: about 0.15 s

            return run_chat(options)
        case name:
            from modeldeck.tui.commands import run_command  # SQLite and the readers: about 0.05 s

            return run_command(name, options)


if __name__ == "__main__":
    raise SystemExit(main())
