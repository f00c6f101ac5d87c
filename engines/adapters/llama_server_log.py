"""What llama.cpp says in its log while it loads: stages, devices, and why it failed. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from modeldeck.engines.out_of_memory import shortage_of
from modeldeck.engines.units import MIB

# Marks a stage has begun, with the share of a load that usually lies behind it.
_STAGES: tuple[tuple[str, str, float], ...] = (
    ("loading model tensors", "reading weights", 0.05),
    ("constructing llama_context", "making the context", 0.60),
    ("warming up the model", "warming up", 0.65),
)
_BUFFER = re.compile(r"([A-Za-z]\w*)\s+model buffer size =\s*([0-9.]+) MiB")
_LEVEL = re.compile(r"^[0-9.]+ [A-Z] ")
_REASONS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"unknown model architecture: '?([^']*)'?"),
        "this build of llama.cpp does not know the architecture {0}",
    ),
    (
        re.compile(r"unknown (?:pre-)?tokenizer(?: type)?: '?([^']*)'?"),
        "this build of llama.cpp does not know the tokenizer {0}",
    ),
    (re.compile(r"(tensor '.*' (?:data is )?(?:is )?not within .*)"), "{0}"),
    (re.compile(r"GGML_ASSERT\((.*)\) failed"), "llama.cpp gave up on its own check ({0})"),
    (re.compile(r"terminate called after throwing.*?'(.*)'"), "llama.cpp crashed ({0})"),
    (re.compile(r"couldn't bind.*|bind.*failed.*"), "its address could not be taken"),
    (re.compile(r"error: (invalid argument.*)"), "{0}"),
    (re.compile(r"llama_init_from_model: (.* cache .*)"), "{0}"),
    (re.compile(r"gguf_init_from\w+: (.*)"), "{0}"),
    (re.compile(r"error loading model: (?:llama_model_loader: )?(.*)"), "{0}"),
)


def stage_of(line: str) -> tuple[str, float] | None:
    """The stage that a log line begins, with how much of the load is behind it; else None."""
    return next(((stage, share) for mark, stage, share in _STAGES if mark in line), None)


def device_of(lines: Sequence[str]) -> str:
    """Where the weights went, in llama.cpp's words: ``CUDA0``, ``CUDA0+CPU``, ``CPU``."""
    names: list[str] = []
    for line in lines:
        if found := _BUFFER.search(line):
            name = "CPU" if found[1].startswith("CPU") else found[1]
            if name not in names:
                names.append(name)
    names.sort(key=lambda name: name == "CPU")
    return "+".join(names) or "CPU"


def reason_of(lines: Sequence[str]) -> str:
    """Why a load failed, as half a sentence; empty when the log does not say.

    The first line that gives a reason counts: later ones only pass it on. That memory ran out
    comes before what the engine did about it.
    """
    if short := shortage_of(lines):
        asked = f" ({-(-short.asked_bytes // MIB)} MiB)" if short.asked_bytes else ""
        whose = "the host's memory" if short.on_host else "memory"
        return f"{whose} ran out for {short.what}{asked}"
    bare = [_LEVEL.sub("", line) for line in lines]
    for pattern, words in _REASONS:
        for line in bare:
            if found := pattern.search(line):
                return words.format(*((group or "").strip(" .:") for group in found.groups()))
    return ""
