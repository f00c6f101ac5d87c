"""The words after ``modeldeck``: what may be said, and what is wrong with what was said."""

from __future__ import annotations

import argparse
import contextlib
import math
from pathlib import Path
from typing import NoReturn, get_args

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.text import clean_line
from modeldeck.tui.actions import COMMANDS
from modeldeck.tui.fit_arguments import add_fit_arguments
from modeldeck.tui.house_arguments import add_house_arguments
from modeldeck.tui.printing import complain, note
from modeldeck.tui.pull_arguments import add_pull_arguments
from modeldeck.tui.search_arguments import add_search_arguments
from modeldeck.tui.terminal import ColorChoice

USAGE = 2


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as every other error is said: a cause and a next step."""

    def error(self, message: str) -> NoReturn:
        complain(message)
        note(f"next: {self.prog} --help")
        raise SystemExit(USAGE)


class _Together(argparse.Action):
    """An option that may be given again: its values with a ``+`` between."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest, None)
        setattr(namespace, self.dest, f"{before} + {values}" if before else str(values))


def command_line() -> argparse.ArgumentParser:
    """The parser of every command and of the deck itself."""
    parser = _Parser(
        prog="modeldeck",
        description="The terminal deck for the models on a GPU box. Alone it opens the deck.",
        epilog="The deck's keys: modeldeck keys. Inside the deck: ? shows the keys that work now.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    _add_common(parser, default=None)
    parser.add_argument("--theme", metavar="NAME", help="colour theme of the deck")
    parser.add_argument(
        "--color",
        choices=get_args(ColorChoice),
        metavar="HOW",
        help="auto, truecolor, 256, 16, none",
    )
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    parsers = {
        entry.name: commands.add_parser(
            entry.name, help=entry.description, description=entry.description, allow_abbrev=False
        )
        for entry in COMMANDS
    }
    for entry in parsers.values():
        entry.add_argument("--json", action="store_true", help="print JSON with stable keys")
        # Given after the command they count; not given they leave what stood before it.
        _add_common(entry, default=argparse.SUPPRESS)
    add_fit_arguments(parsers["fit"])
    add_house_arguments(parsers)
    add_search_arguments(parsers["search"])
    add_pull_arguments(parsers["pull"], parsers["pulls"])
    engines = parsers["engines"]
    engines.add_argument("names", nargs="*", metavar="NAME", help="of these engines only")
    engines.add_argument(
        "--test",
        action="store_true",
        help="load the smallest model that each runs, have it say five tokens, unload it",
    )
    parsers["keys"].add_argument(
        "--markdown", action="store_true", help="print the page docs/keys.md"
    )
    chat = parsers["chat"]
    chat.add_argument(
        "-m", "--model", required=True, metavar="MODEL", help="a name from ls, or a path"
    )
    chat.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="FILE",
        help="an image that goes with the first question; may be given more than once",
    )
    parsers["demo"].set_defaults(image=[])
    for entry in (chat, parsers["demo"]):
        entry.add_argument(
            "prompt",
            nargs="?",
            help="the question; - reads standard input; without one, a question a line",
        )
        entry.add_argument("-s", "--system", default="", help="system prompt")
        entry.add_argument(
            "-n", "--max-tokens", type=_positive, metavar="N", help="stop after N tokens"
        )
        entry.add_argument("-c", "--ctx", type=_positive, metavar="N", help="context in tokens")
        entry.add_argument(
            "-t", "--temperature", type=_temperature, metavar="T", help="sampling temperature"
        )
        entry.add_argument("--seed", type=_seed, metavar="N", help="seed of the sampler")
        entry.add_argument(
            "--engine", metavar="NAME", help="engine to use (see: modeldeck engines)"
        )
    return parser


def _add_common(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=default,
        type=_settings_file,
        help="settings file to use instead of the usual",
    )
    parser.add_argument(
        "--gpu",
        metavar="CARD",
        default=default,
        type=_card,
        action=_Together,
        help='judge for this card, e.g. "RTX 3060 12GB"; for several when given again',
    )
    parser.add_argument(
        "--vram",
        metavar="SIZE",
        default=default,
        type=_size,
        help="judge for a card of this size, e.g. 12GiB",
    )


def _positive(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 0 < (value := int(text)) < 2**31:
            return value
    raise argparse.ArgumentTypeError(f"“{clean_line(text, 40)}” is no positive whole number")


def _seed(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 0 <= (value := int(text)) < 2**32:
            return value
    raise argparse.ArgumentTypeError(f"“{clean_line(text, 40)}” is no whole number up to 2³² - 1")


def _temperature(text: str) -> float:
    with contextlib.suppress(ValueError):
        if math.isfinite(value := float(text)) and value >= 0:
            return value
    raise argparse.ArgumentTypeError(f"“{clean_line(text, 40)}” is no temperature, like 0.7")


def _settings_file(text: str) -> str:
    if not Path(text).expanduser().is_file():
        raise argparse.ArgumentTypeError(f"there is no file {clean_line(text)}")
    return str(Path(text).expanduser())


def _card(text: str) -> str:
    from modeldeck.engines.fit.card_group import cards_named  # the table of cards: 5 ms

    try:
        cards_named(text, 0)
    except ModeldeckError as error:
        raise argparse.ArgumentTypeError(f"{error.cause} {error.next_step}") from None
    return text


def _size(text: str) -> str:
    from modeldeck.engines.units import parse_size

    try:
        parse_size(text)
    except ModeldeckError as error:
        raise argparse.ArgumentTypeError(f"{error.cause} {error.next_step}") from None
    return text
