"""Reads the numbers of a header that may say anything at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from modeldeck.engines.types import HParam

LARGEST: Final = 1 << 24
"""No width, head count or vocabulary is larger; a header that says so is broken or hostile."""

MOST_BLOCKS: Final = 4096


class Gap(Exception):
    """The header lacks something; carries the reason, which completes "not judged yet: …"."""


class HParams:
    """The keys of one architecture, checked when they are read.

    Attributes:
        architecture: the prefix of its keys.
        values: all keys of the file.
        layers: ``block_count``; layered keys must have as many numbers.
    """

    __slots__ = ("architecture", "layers", "values")

    def __init__(self, architecture: str, values: Mapping[str, HParam], layers: int = 0) -> None:
        self.architecture = architecture
        self.values = values
        self.layers = layers

    def get(self, key: str) -> HParam | None:
        """The value as the file has it."""
        return self.values.get(f"{self.architecture}.{key}")

    def number(self, key: str, fallback: int | None = None, limit: int = LARGEST) -> int:
        """A number above zero.

        Raises:
            Gap: it is missing without a fallback, or makes no sense.
        """
        value = self.get(key)
        if value is None and fallback is not None:
            return fallback
        if value is None:
            raise Gap(f"the header has no {key}")
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= limit:
            raise Gap(f"its {key} makes no sense")
        return value

    def count(self, key: str, fallback: int = 0) -> int:
        """A number that may be zero.

        Raises:
            Gap: it makes no sense.
        """
        value = self.get(key)
        if value is None:
            return fallback
        return 0 if value in (0, False) else self.number(key)

    def per_layer(self, key: str, fallback: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """A key that is one number for all blocks, or one for each (0: the block has none).

        Raises:
            Gap: it is missing without a fallback, or makes no sense.
        """
        value = self.get(key)
        if value is None and fallback is not None:
            return fallback
        if not isinstance(value, tuple):
            return (self.count(key) if value is not None else self.number(key),) * self.layers
        counts = tuple(
            int(count) for count in value if isinstance(count, int) and 0 <= count <= LARGEST
        )
        if len(counts) != self.layers or len(value) != self.layers:
            raise Gap(f"its {key} makes no sense")
        return counts
