"""Strategies for Hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import strategies as st

_T = TypeVar("_T")


def built(make: Callable[..., _T], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[_T]:
    """As ``st.builds``, which would also draw the fields of a named tuple that have a default."""
    return st.fixed_dictionaries(fields).map(lambda drawn: make(**drawn))
