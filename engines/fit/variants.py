"""The quantisations of one model: those on this machine, and the usual ones that are not. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from modeldeck.engines.fit.grid import GRID_CONTEXTS
from modeldeck.engines.fit.quants import QUANTS, bits_per_weight, requantised
from modeldeck.engines.types import LocalModel, ModelHeader


@dataclass(frozen=True, slots=True)
class Variant:
    """One quantisation of the model.

    Attributes:
        quantisation: as its file says.
        header: read, or scaled from another quantisation's.
        size_bytes: of its files; of its weights when it is estimated.
        model: where it is on this machine; None when it is not here.
    """

    quantisation: str
    header: ModelHeader
    size_bytes: int
    model: LocalModel | None = None

    @property
    def estimated(self) -> bool:
        """The file was not read: its size is scaled from another quantisation."""
        return self.model is None


def same_model(one: LocalModel, other: LocalModel) -> bool:
    """Whether two files are quantisations of one model, as far as their headers tell."""
    if one.header is None or other.header is None:
        return False
    a, b = one.header, other.header
    alike = (
        a.architecture == b.architecture
        and a.context_length == b.context_length
        and a.parameters == b.parameters
        and len(a.weights.blocks) == len(b.weights.blocks)
    )
    return alike and (a.name == b.name or _stem(one) == _stem(other))


def _stem(model: LocalModel) -> str:
    quantisation = model.header.quantisation if model.header else ""
    return model.name.casefold().replace(quantisation.casefold(), "").strip("-._ ")


def variants(model: LocalModel, models: Iterable[LocalModel]) -> tuple[Variant, ...]:
    """The quantisations of ``model`` that are here, and the usual ones that are not; small first.

    ``model`` has a header.
    """
    assert model.header is not None
    here = [
        Variant(found.header.quantisation, found.header, found.size_bytes, found)
        for found in models
        if found.header is not None and (found is model or same_model(model, found))
    ]
    known = {variant.quantisation for variant in here}
    source = max((variant.header for variant in here), key=bits_per_weight, default=model.header)
    absent = [
        Variant(name, header, header.weights.total_bytes)
        for name, bits in QUANTS
        if name not in known
        for header in (requantised(source, name, bits),)
    ]
    return tuple(sorted((*here, *absent), key=lambda found: found.size_bytes))


def contexts_for(header: ModelHeader) -> tuple[int, ...]:
    """The contexts worth a column: up to what the model was trained for."""
    trained = header.context_length or GRID_CONTEXTS[-1]
    below = tuple(context for context in GRID_CONTEXTS if context < trained)
    return (*below, trained) if trained <= GRID_CONTEXTS[-1] else below
