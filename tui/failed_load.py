"""What to say, and to offer, after a load that failed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modeldeck.engines.errors import EngineError, ModeldeckError
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LocalModel, Plan
from modeldeck.tui.state import Notice, Retry

if TYPE_CHECKING:
    from modeldeck.engines.fit.companions import Companions
    from modeldeck.engines.fit.types import Card

_NAME_CELLS: Final = 40
"""Of a longer name only so much: the offer must stay in sight."""


def after_failed_load(
    model: LocalModel,
    error: ModeldeckError,
    plan: Plan | None,
    card: Card | None,
    companions: Companions,
) -> tuple[Notice, Retry | None]:
    """The notice, and the plan to try next where memory was what failed.

    Args:
        model: what was loaded.
        error: why it failed.
        plan: what was tried; None when it did not come so far.
        card: with what was free.
        companions: what was loaded with the model.
    """
    from modeldeck.engines.fit.shortage import autopsy, rescues
    from modeldeck.engines.fit.types import Bill
    from modeldeck.engines.fit.verdict import judge
    from modeldeck.engines.out_of_memory import shortage_of

    tail = error.log_tail if isinstance(error, EngineError) else ()
    shortage = shortage_of(tail)
    if shortage is None or plan is None or card is None or model.header is None:
        return Notice.of(error), None
    verdict = judge(model.header, plan, card, companions)
    bill = verdict.bill or Bill()
    need_bytes = bill.total_host_bytes if shortage.on_host else bill.total_gpu_bytes
    found = rescues(model.header, plan, card, companions)
    name = clean_line(model.name, _NAME_CELLS)
    cause = f"Could not load {name}: {autopsy(shortage, card, need_bytes)}."
    if not found:
        return Notice(cause, error.next_step, failure=True, log_tail=tail), None
    first, *others = found
    offer = f"loads it with {first.change}"
    if others:
        offer += "; " + " or ".join(rescue.change for rescue in others) + " would fit too"
    retry = Retry(model, first.plan, first.change)
    return Notice(cause, failure=True, log_tail=tail, offer=f"{offer}."), retry
