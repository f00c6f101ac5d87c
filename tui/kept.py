"""Which rows the list of models keeps: by their verdicts, not by their names. Pure."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from modeldeck.engines.fit.types import RUNS, VerdictKind
from modeldeck.engines.types import LocalModel

if TYPE_CHECKING:
    from modeldeck.engines.fit.types import Verdict


class Kept(StrEnum):
    """What the list is cut down to; the values are the words on the screen."""

    ALL = "all"
    FITS_AT_CONTEXT = "fits at this ctx"
    FITS = "fits at some ctx"
    RUNNABLE = "runnable here"

    def next(self) -> Kept:
        """The one after this, the first after the last."""
        every = list(Kept)
        return every[(every.index(self) + 1) % len(every)]


def keeps(
    kept: Kept,
    model: LocalModel,
    verdict: Verdict | None,
    has_engine: Callable[[LocalModel], bool],
) -> bool:
    """Whether the list shows a model.

    Args:
        kept: what the list is cut down to.
        model: the row.
        verdict: None while it is judged: then only the whole list has it.
        has_engine: whether an engine here can run a model.
    """
    if kept is Kept.ALL:
        return True
    if verdict is None or model.problem is not None:
        return False
    if kept is Kept.FITS_AT_CONTEXT:
        return verdict.kind is VerdictKind.FITS
    if kept is Kept.FITS:
        cannot = verdict.kind is VerdictKind.CANNOT_RUN
        return bool(verdict.max_context_tokens) and not cannot
    return verdict.kind in RUNS and has_engine(model)
