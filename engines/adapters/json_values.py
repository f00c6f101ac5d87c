"""JSON that a server sent, taken apart without trusting its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast


def table(value: object) -> Mapping[str, object]:
    """``value`` when it is an object, else an empty one."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def items(value: object) -> Sequence[object]:
    """``value`` when it is an array, else an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else ()


def text(value: object) -> str:
    """``value`` when it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def count(value: object) -> int:
    """``value`` when it is a positive whole number, else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
