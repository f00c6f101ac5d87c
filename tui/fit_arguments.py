"""The words after ``modeldeck fit``, and what they mean for a verdict."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from typing import get_args

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import KvType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from modeldeck.engines.fit.options import FitOptions

_MOST = 2**31


def add_fit_arguments(parser: argparse.ArgumentParser) -> None:
    """Teach ``parser`` the options of ``fit``."""
    parser.add_argument(
        "target",
        nargs="*",
        metavar="TARGET",
        help="a path, a name from ls, hf:repo[:file], ollama:name:tag or a URL",
    )
    _add_options(parser)
    for name, text in (
        ("--free", "free memory of the GPU, taken as given"),
        ("--ram", "free memory of the machine, instead of what it has"),
    ):
        parser.add_argument(name, metavar="SIZE", type=_bytes, help=text)
    parser.add_argument(
        "--dry-run", action="store_true", help="let the engine size the model from its header"
    )
    parser.add_argument(
        "--all-quants", action="store_true", help="judge every quantisation of each target"
    )
    parser.add_argument(
        "--guide", action="store_true", help="what a 12 GB card runs: common claims and the truth"
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``FitOptions``, by the names that its fields have."""
    add = parser.add_argument
    add(
        "--ctx",
        dest="context_tokens",
        metavar="N",
        type=_tokens,
        help="context in tokens, over all slots; 32k is 32768",
    )
    for name, field, least, text in (
        ("--ubatch", "micro_batch_tokens", 1, "micro-batch in tokens"),
        ("--slots", "slots", 1, "sequences in one unified cache"),
        ("--ngl", "gpu_layers", 0, "layers on the GPU as llama.cpp counts: k blocks are k+1"),
        ("--n-cpu-moe", "cpu_moe_blocks", 0, "blocks whose experts stay on the CPU"),
    ):
        add(name, dest=field, metavar="N", type=_count(least), help=text)
    types = ", ".join(get_args(KvType))
    add("--kv", dest="kv_type", metavar="TYPE", type=_kv_type, help=f"cache type: {types}")
    add(
        "--no-flash-attn",
        dest="flash_attention",
        action="store_const",
        const=False,
        help="judge without flash attention",
    )
    add(
        "--swa-full",
        action="store_const",
        const=True,
        help="sliding windows cache the whole context",
    )
    add("--engine", metavar="NAME", type=_engine, help="engine that would run it")
    add(
        "--margin",
        dest="margin_bytes",
        metavar="SIZE",
        type=_bytes,
        default=argparse.SUPPRESS,
        help="to be kept free on the GPU; 256MiB unless set",
    )
    add(
        "--draft",
        metavar="TARGET",
        help="a smaller model that guesses tokens ahead; mtp: the model's own blocks do",
    )
    add(
        "--lora",
        metavar="FILE",
        action="append",
        default=[],
        help="a LoRA adapter to apply; may be given again",
    )


def fit_options(given: argparse.Namespace) -> FitOptions:
    """What was given; the rest is None and will be planned.

    What drafts and the adapters are not in it: they are files to be read.
    """
    from dataclasses import fields

    from modeldeck.engines.fit.options import FitOptions

    named = {field.name for field in fields(FitOptions)} - {"draft"}
    return FitOptions(**{name: value for name, value in vars(given).items() if name in named})


def _count(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        with contextlib.suppress(ValueError):
            if least <= (value := int(text)) < _MOST:
                return value
        raise argparse.ArgumentTypeError(
            f"“{clean_line(text, 40)}” is no whole number from {least} up"
        )

    return count


def _tokens(text: str) -> int:
    from modeldeck.engines.units import parse_tokens

    with contextlib.suppress(ModeldeckError):
        if 1 <= (tokens := parse_tokens(text)) < _MOST:
            return tokens
    raise argparse.ArgumentTypeError(
        f"“{clean_line(text, 40)}” is no number of tokens from 1 up, like 32768 or 32k"
    )


def _kv_type(text: str) -> KvType:
    for name in get_args(KvType):
        if name == text.lower():
            found: KvType = name
            return found
    raise argparse.ArgumentTypeError(
        f"“{clean_line(text, 40)}” is no cache type; there are {', '.join(get_args(KvType))}"
    )


def _engine(text: str) -> str:
    from modeldeck.engines.fit.options import engine_name  # verdicts: 5 ms

    try:
        return engine_name(text)
    except ModeldeckError as error:
        raise argparse.ArgumentTypeError(f"{error.cause} {error.next_step}") from None


def _bytes(text: str) -> int:
    from modeldeck.engines.units import parse_size

    try:
        return parse_size(text)
    except ModeldeckError as error:
        raise argparse.ArgumentTypeError(f"{error.cause} {error.next_step}") from None
