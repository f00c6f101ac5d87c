"""Shapes kept from one judging to the next: what a header says does not change with the options."""

from __future__ import annotations

from collections.abc import Iterable

from modeldeck.engines.fit.shape import Shape, Unjudged, shape_of
from modeldeck.engines.types import ModelHeader


class Shapes:
    """The shapes of the models of a list: a third of a judging's time is left.

    Verdicts are not kept: they are made anew for every context and card.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[ModelHeader, Shape | Unjudged]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, model: str, header: ModelHeader) -> Shape | Unjudged:
        """The shape of ``model``, made anew when its header was read anew."""
        kept = self._kept.get(model)
        if kept is not None and kept[0] is header:
            return kept[1]
        shape = shape_of(header)
        self._kept[model] = (header, shape)
        return shape

    def keep_only(self, models: Iterable[str]) -> None:
        """Forget every other model."""
        wanted = frozenset(models)
        for model in [model for model in self._kept if model not in wanted]:
            del self._kept[model]
