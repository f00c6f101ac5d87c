"""The sampling parameters as fields of text: their ranges, and what is wrong with a value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from modeldeck.engines.chat import Sampling

FieldName = Literal[
    "temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed", "max_tokens"
]


@dataclass(frozen=True, slots=True)
class SamplingField:
    """One parameter.

    Attributes:
        name: its attribute of ``Sampling``.
        label: as shown.
        low: smallest value allowed.
        high: largest value allowed.
        whole: only whole numbers.
        hint: what it does, in a few words.
    """

    name: FieldName
    label: str
    low: float
    high: float
    whole: bool
    hint: str


FIELDS: Final[tuple[SamplingField, ...]] = (
    SamplingField("temperature", "temperature", 0, 5, False, "0 is always the likeliest token"),
    SamplingField("top_k", "top k", 0, 1_000_000, True, "draw from the k likeliest, 0 from all"),
    SamplingField("top_p", "top p", 0, 1, False, "draw from this share of the probability"),
    SamplingField("min_p", "min p", 0, 1, False, "leave out what is this much less likely"),
    SamplingField("repeat_penalty", "repeat penalty", 0.1, 5, False, "1 is none"),
    SamplingField("seed", "seed", 0, 2**32 - 1, True, "the same seed gives the same answer"),
    SamplingField("max_tokens", "max tokens", 1, 10_000_000, True, "stop after so many"),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a field's text is no value, and what to do."""

    cause: str
    next_step: str


def number_text(value: float | None) -> str:
    """A value as typed: ``0.7``, ``40``; nothing for None."""
    if value is None:
        return ""
    return str(int(value)) if value == int(value) else f"{value:g}"


def parsed(field: SamplingField, text: str) -> float | int | Problem | None:
    """The value of ``text``, None when it is empty, or what is wrong with it."""
    text = text.strip().replace(",", ".") if not field.whole else text.strip()
    if not text:
        return None
    allowed = f"{number_text(field.low)} to {number_text(field.high)}"
    next_step = f"Type {allowed}."
    try:
        value: float | int = int(text) if field.whole else float(text)
    except ValueError:
        kind = "whole number" if field.whole else "number"
        return Problem(f"Not a {kind}.", next_step)
    if not math.isfinite(value) or not field.low <= value <= field.high:
        return Problem("Out of range.", next_step)
    return value


def sampling_of(texts: Mapping[FieldName, str]) -> Sampling | None:
    """The sampling that all fields give together; None while one of them has a problem."""
    numbers: dict[FieldName, float | int | None] = {}
    for field in FIELDS:
        value = parsed(field, texts.get(field.name, ""))
        if isinstance(value, Problem):
            return None
        numbers[field.name] = value

    def whole(name: FieldName) -> int | None:
        value = numbers[name]
        return None if value is None else int(value)

    return Sampling(
        temperature=numbers["temperature"],
        top_k=whole("top_k"),
        top_p=numbers["top_p"],
        min_p=numbers["min_p"],
        repeat_penalty=numbers["repeat_penalty"],
        seed=whole("seed"),
        max_tokens=whole("max_tokens"),
    )


def texts_of(sampling: Sampling) -> dict[FieldName, str]:
    """What each field shows for ``sampling``."""
    return {
        "temperature": number_text(sampling.temperature),
        "top_k": number_text(sampling.top_k),
        "top_p": number_text(sampling.top_p),
        "min_p": number_text(sampling.min_p),
        "repeat_penalty": number_text(sampling.repeat_penalty),
        "seed": number_text(sampling.seed),
        "max_tokens": number_text(sampling.max_tokens),
    }
