"""By which engine a format runs on a card: one that is here, else one that would, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from modeldeck.engines.fit.types import Card
from modeldeck.engines.types import ModelFormat

if TYPE_CHECKING:
    from modeldeck.engines.fit.runnable import CannotRun, Runs
    from modeldeck.engines.types import EngineInfo

_NEVER_TOO_OLD: Final = 6.0


class Way(NamedTuple):
    """How a format would run.

    Attributes:
        engine: name of its adapter; empty when no engine is known for the format.
        here: that engine is one of those there are.
        too_old: why the card does not run the format with any of them, as a clause; else empty.
        note: what is different on this card, as a clause; may be empty.
    """

    engine: str
    here: bool
    too_old: str = ""
    note: str = ""


def way_of(model_format: ModelFormat, card: Card, engines: Sequence[EngineInfo]) -> Way:
    """How ``model_format`` runs with ``card`` and the ``engines`` there are.

    Of several engines the first is taken that runs it on this card, those that are here before
    those that are not.
    """
    if model_format is ModelFormat.GGUF and _is_recent(card):
        return Way("llama_server", here=True)
    from modeldeck.engines.fit.options import ENGINE_FORMATS, usual_engine
    from modeldeck.engines.fit.runnable import CannotRun, runnable

    known = [usual_engine(model_format), *ENGINE_FORMATS]
    able = {name for name, formats in ENGINE_FORMATS.items() if model_format in formats}
    names = list(dict.fromkeys(name for name in known if name in able))
    here = {engine.name for engine in engines if model_format in engine.formats}
    tried = [name for name in names if name in here] or ([] if here else names)
    if not tried:
        # Nobody has said anything of such an engine: it is believed.
        return Way(min(here), here=True) if here else Way("", here=False)
    found = [(name, runnable(model_format, name, card)) for name in tried]
    first = next((one for one in found if not isinstance(one[1], CannotRun)), found[0])
    return _way(*first, here=bool(here))


def _way(engine: str, found: Runs | CannotRun, *, here: bool) -> Way:
    from modeldeck.engines.fit.runnable import CannotRun

    if isinstance(found, CannotRun):
        return Way(engine, here, too_old=found.reason)
    return Way(engine, here, note=found.written)


def _is_recent(card: Card) -> bool:
    """Whether llama.cpp surely runs here, which spares reading the table of rules: 10 ms."""
    if card.vendor != "nvidia" or not card.compute:
        return True
    return float(card.compute) >= _NEVER_TOO_OLD
