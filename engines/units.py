"""Quantities as people write and read them."""

from __future__ import annotations

import re
from typing import Final

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.text import clean_line

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30

_SIZE: Final = re.compile(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([KMGT]?)(I?)(B?)\s*", re.IGNORECASE)
_TOKENS: Final = re.compile(r"\s*(\d{1,12})\s*([KM]?)\s*", re.IGNORECASE | re.ASCII)
_SPANS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def gib_number(size_bytes: int) -> str:
    """``size_bytes`` in GiB without the unit, three digits at most: ``0.42``, ``8.9``, ``246``."""
    gib = size_bytes / GIB
    if abs(gib) < 0.995:
        return f"{gib:.2f}"
    return f"{gib:.1f}" if abs(gib) < 99.95 else f"{gib:.0f}"


def gib_text(size_bytes: int) -> str:
    """``size_bytes`` in GiB with the unit: ``8.9 GiB``."""
    return f"{gib_number(size_bytes)} GiB"


def file_size(size_bytes: int) -> str:
    """Decimal, as the stores count: ``8.4 GB``, ``246 GB``, ``3.6 MB``, ``12 KB``."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if size_bytes >= 0.9995 * unit:
            return f"{size_bytes / unit:.{1 if size_bytes < 99.95 * unit else 0}f} {name}"
    return f"{-(-size_bytes // 1000)} KB"


def tokens_text(tokens: int) -> str:
    """A number of tokens, short, never rounded up: ``512``, ``16k``, ``1M`` (k is 1024)."""
    if tokens < KIB:
        return str(tokens)
    return f"{tokens // KIB}k" if tokens < MIB else f"{tokens // MIB}M"


def parse_tokens(text: str) -> int:
    """A number of tokens as written: ``32768``, or ``32k`` and ``1M`` (k is 1024).

    Raises:
        SettingsError: the text is no number of tokens.
    """
    match = _TOKENS.fullmatch(text)
    if match is None:
        raise SettingsError(
            f"“{clean_line(text, 40)}” is no number of tokens.", "Write it like 32768 or 32k."
        )
    return int(match[1]) << 10 * _POWERS[match[2].upper()]


def age_text(seconds: float) -> str:
    """How long ago, in the largest unit that fits, never rounded up: ``3 days``, ``1 minute``."""
    for length, name in _SPANS:
        if (count := int(seconds // length)) > 0:
            return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"
    return "a moment"


def parse_size(text: str) -> int:
    """Bytes of a size as written: ``12GiB``, ``12 GB``, ``800M``, ``4096``.

    KiB, MiB, GiB and TiB, and the letters alone, are binary; KB, MB, GB and TB are decimal.

    Raises:
        SettingsError: the text is no size.
    """
    match = _SIZE.fullmatch(text)
    if match is None or (match[3] and not match[2]):
        raise SettingsError(
            f"“{clean_line(text, 40)}” is no size.", "Write it like 12GiB, 800MiB or 12GB."
        )
    number, letter, binary, byte = match.groups()
    base = 1000 if byte and not binary else 1024
    return round(float(number) * float(base) ** _POWERS[letter.upper()])
