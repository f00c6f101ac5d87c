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
    counts = (
        ("--ubatch", 1, "micro-batch in tokens"),
        ("--slots", 1, "sequences in one unified cache"),
        ("--ngl", 0, "layers on the GPU as llama.cpp counts: k blocks are k+1"),
        ("--n-cpu-moe", 0, "blocks whose experts stay on the CPU"),
    )
    parser.add_argument(
        "--ctx", metavar="N", type=_tokens, help="context in tokens, over all slots; 32k is 32768"
    )
    for name, least, text in counts:
        parser.add_argument(name, metavar="N", type=_count(least), help=text)
    parser.add_argument(
        "--kv", metavar="TYPE", type=_kv_type, help=f"cache type: {', '.join(get_args(KvType))}"
    )
    parser.add_argument(
        "--no-flash-attn", action="store_true", help="judge without flash attention"
    )
    parser.add_argument(
        "--swa-full", action="store_true", help="sliding windows cache the whole context"
    )
    parser.add_argument("--engine", metavar="NAME", type=_engine, help="engine that would run it")
    for name, text in (
        ("--free", "free memory of the GPU, taken as given"),
        ("--ram", "free memory of the machine, instead of what it has"),
        ("--margin", "to be kept free on the GPU; 256MiB unless set"),
    ):
        parser.add_argument(name, metavar="SIZE", type=_bytes, help=text)
    parser.add_argument(
        "--draft", metavar="TARGET", help="a draft model that llama-server loads with it (-md)"
    )
    parser.add_argument(
        "--lora",
        metavar="FILE",
        action="append",
        default=[],
        help="a LoRA adapter (GGUF) loaded with it; may be given several times",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="let the engine size the model from its header"
    )
    parser.add_argument(
        "--all-quants", action="store_true", help="judge every quantisation of each target"
    )
    parser.add_argument(
        "--guide", action="store_true", help="what a 12 GB card runs: common claims and the truth"
    )


def fit_options(options: argparse.Namespace) -> FitOptions:
    """What was given; the rest is None and will be planned."""
    from modeldeck.engines.fit.options import FitOptions
    from modeldeck.engines.fit.terms import MARGIN_BYTES

    return FitOptions(
        context_tokens=options.ctx,
        kv_type=options.kv,
        micro_batch_tokens=options.ubatch,
        slots=options.slots,
        gpu_layers=options.ngl,
        cpu_moe_blocks=options.n_cpu_moe,
        flash_attention=False if options.no_flash_attn else None,
        swa_full=True if options.swa_full else None,
        engine=options.engine,
        margin_bytes=MARGIN_BYTES if options.margin is None else options.margin,
    )


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
