"""A plan that the engine rewrote is not taken for what was asked."""

from __future__ import annotations

import pytest

from modeldeck.engines.adapters.planned import require_planned
from modeldeck.engines.errors import LoadFailed
from modeldeck.engines.types import Plan


@pytest.mark.parametrize(
    ("slots", "made_context", "made_slots"),
    [(1, 4096, 1), (1, 4352, 1), (2, 4096, 2), (2, 2048, 2), (1, None, None), (4, None, 4)],
)
def test_what_was_planned_is_taken(
    slots: int, made_context: int | None, made_slots: int | None
) -> None:
    require_planned(Plan(context_tokens=4096, slots=slots), made_context, made_slots, ())


@pytest.mark.parametrize(
    ("made_context", "made_slots"), [(2048, 1), (4096, 4), (1024, 4), (None, 4)]
)
def test_less_or_other_is_refused_with_both(
    made_context: int | None, made_slots: int | None
) -> None:
    with pytest.raises(LoadFailed, match=r"where 4096 in 1 were asked for"):
        require_planned(Plan(context_tokens=4096), made_context, made_slots, ("a line",))
