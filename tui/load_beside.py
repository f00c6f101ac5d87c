"""What may be chosen for a load from what there is: draft models, adapters, cards. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from modeldeck.engines.fit.companions import unfit_draft
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import Draft, LocalModel, ModelFormat, Split

if TYPE_CHECKING:
    from modeldeck.engines.fit.types import Card

NOTHING: Final = "none"
OWN_BLOCKS: Final = "own blocks"
ALL: Final = "all"
ONE_CARD: Final = "one card"
LAYERS: Final = "layers"
TENSORS: Final = "tensors"
_MOST_DRAFTS: Final = 32
_SHOWN: Final = 30


class Offers(NamedTuple):
    """What there is to choose from.

    Attributes:
        drafts: paths of models that can draft, small ones first.
        own_blocks: the model has blocks for multi-token prediction.
        adapters: paths of adapters for it.
        splits: the ways to use several cards, by what they are called; none with one card.
    """

    drafts: tuple[str, ...] = ()
    own_blocks: bool = False
    adapters: tuple[str, ...] = ()
    splits: tuple[tuple[str, Split], ...] = ()

    @property
    def draft_steps(self) -> tuple[str, ...]:
        """What the draft can be."""
        return (NOTHING, *([OWN_BLOCKS] if self.own_blocks else []), *self.drafts)

    @property
    def adapter_steps(self) -> tuple[str, ...]:
        """What the adapters can be: none, one, or all of several."""
        return (NOTHING, *self.adapters, *([ALL] if len(self.adapters) > 1 else []))


def offers_for(
    model: LocalModel,
    models: Iterable[LocalModel],
    adapters: Iterable[Path],
    card: Card | None = None,
) -> Offers:
    """What there is for ``model``; a draft has the same vocabulary and is smaller."""
    header = model.header
    if header is None or model.format is not ModelFormat.GGUF:
        return Offers()
    smaller = [
        (one.size_bytes, one.id)
        for one in models
        if one.header is not None
        and one.problem is None
        and one.format is ModelFormat.GGUF
        and one.size_bytes < model.size_bytes
        and not unfit_draft(header, one.header)
    ]
    ahead = header.hparams.get(f"{header.architecture}.nextn_predict_layers")
    paths = tuple(path for _, path in sorted(smaller)[:_MOST_DRAFTS])
    return Offers(paths, bool(ahead), tuple(map(str, adapters)), splits_of(card))


def splits_of(card: Card | None) -> tuple[tuple[str, Split], ...]:
    """The ways to use several cards: the roomiest alone, layers by what is free, or tensors."""
    free = [part.free_bytes >> 20 for part in card.parts] if card is not None else []
    if not any(free):
        return ()
    alone = tuple(int(at == free.index(max(free))) for at in range(len(free)))
    return (
        (ONE_CARD, Split("none", alone)),
        (LAYERS, Split("layer", tuple(free))),
        (TENSORS, Split("tensor", (1,) * len(free))),
    )


def split_value(split: Split | None, offers: Offers) -> str:
    """How several cards are used, as one of the steps."""
    mode = split.mode if split is not None else "layer"
    return next((name for name, one in offers.splits if one.mode == mode), LAYERS)


def draft_value(draft: Draft | None) -> str:
    """What the draft is, as one of the steps."""
    return NOTHING if draft is None else draft.model or OWN_BLOCKS


def draft_of(value: str) -> Draft | None:
    """The draft that a step stands for."""
    if value == NOTHING:
        return None
    return Draft("" if value == OWN_BLOCKS else value)


def adapters_value(adapters: tuple[str, ...]) -> str:
    """What the adapters are, as one of the steps."""
    if not adapters:
        return NOTHING
    return adapters[0] if len(adapters) == 1 else ALL


def adapters_of(value: str, offers: Offers) -> tuple[str, ...]:
    """The adapters that a step stands for."""
    if value == NOTHING:
        return ()
    return offers.adapters if value == ALL else (value,)


def name_of(value: str) -> str:
    """A step as the panel shows it: the name of a file without its ending."""
    if value in (NOTHING, OWN_BLOCKS, ALL):
        return value
    return clean_line(Path(value).stem, _SHOWN)
