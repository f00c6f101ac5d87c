"""The files that are loaded with a model, by what they say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from modeldeck.engines.fit.shape import Shape, Unjudged
from modeldeck.engines.fit.terms import projector_bytes
from modeldeck.engines.types import Draft, ModelHeader

if TYPE_CHECKING:
    from modeldeck.engines.fit.options import FitOptions
    from modeldeck.engines.formats.adapter import AdapterSizes


class Companions(NamedTuple):
    """What is loaded with a model.

    Attributes:
        projector_file_bytes: of the file that lets it see images; 0 is none.
        draft: the header of the model that drafts for it; None for none.
        adapters: sizes of the adapters that are applied.
    """

    projector_file_bytes: int = 0
    draft: ModelHeader | None = None
    adapters: tuple[AdapterSizes, ...] = ()


OWN_BLOCKS: Final = Draft()
"""The model's own blocks for multi-token prediction draft for it."""

ALONE: Final = Companions()
"""Nothing is loaded with it."""

_TOKENS_APART: Final = 128
_LLAMA_CPP: Final = frozenset({"llama_server", "llama_cpp_python", "ollama"})


def with_companions(shape: Shape, companions: Companions) -> Shape | Unjudged:
    """The same model with those beside it; why not, when the draft model has no shape."""
    file_bytes, draft, adapters = companions
    if file_bytes:
        shape = shape._replace(projector_bytes=projector_bytes(file_bytes))
    if draft is None and not adapters:
        return shape
    from modeldeck.engines.fit.drafting import beside
    from modeldeck.engines.fit.shaping import shape_of

    drafting = shape_of(draft) if draft is not None else None
    if isinstance(drafting, Unjudged):
        return Unjudged(f"the draft model: {drafting.why}")
    return beside(shape, drafting, adapters)


def unjudged_companions(engine: str, options: FitOptions) -> str:
    """Why there is no verdict on what ``engine`` would load besides, as a clause; else empty."""
    if engine in _LLAMA_CPP or not (options.draft or options.adapters):
        return ""
    return f"draft models and adapters are not judged for {engine}"


def refused_companions(
    header: ModelHeader, engine: str, options: FitOptions, companions: Companions
) -> str:
    """Why ``engine`` would refuse what is to be loaded with a model, as a clause; else empty."""
    if options.draft is not None and engine != "llama_server":
        return f"{engine} takes no draft model; llama_server does"
    if len(options.adapters) > 1 and engine == "llama_cpp_python":
        return "llama_cpp_python takes one adapter"
    if options.draft == OWN_BLOCKS and not _predicts_ahead(header):
        return "the model has no blocks for multi-token prediction"
    if companions.draft is not None and (unfit := unfit_draft(header, companions.draft)):
        return unfit
    return next(filter(None, (unfit_adapter(header, one) for one in companions.adapters)), "")


def _predicts_ahead(header: ModelHeader) -> bool:
    """Whether the file has such blocks: some keys promise them and the file leaves them out."""
    ahead = header.hparams.get(f"{header.architecture}.nextn_predict_layers")
    layers = header.hparams.get(f"{header.architecture}.block_count")
    both = isinstance(ahead, int) and isinstance(layers, int) and ahead > 0
    return both and len(header.weights.blocks) == layers


def unfit_draft(header: ModelHeader, draft: ModelHeader) -> str:
    """Why ``draft`` cannot draft for a model, as a clause; empty when it seems to fit.

    llama.cpp wants the same vocabulary, word by word but for the last few; a header shows its kind
    and its size (``speculative.cpp``, ``common_speculative_are_compatible``).
    """
    kinds = [
        tuple(one.hparams.get(f"tokenizer.ggml.{key}") for key in ("model", "pre"))
        for one in (header, draft)
    ]
    sizes = header.vocabulary_size, draft.vocabulary_size
    if kinds[0] != kinds[1]:
        return "the draft model has another kind of vocabulary"
    if 0 not in sizes and abs(sizes[0] - sizes[1]) > _TOKENS_APART:
        return f"the draft model has a vocabulary of {sizes[1]} tokens, not {sizes[0]}"
    return ""


def unfit_adapter(header: ModelHeader, adapter: AdapterSizes) -> str:
    """Why an adapter is not for a model, as a clause; empty when it may be."""
    if adapter.architecture != header.architecture:
        return f"the adapter is for {adapter.architecture or 'no architecture'}"
    last = max((block.number for block in adapter.weights.blocks), default=0)
    if last >= len(header.weights.blocks):
        return f"the adapter changes block {last}, of {len(header.weights.blocks)}"
    return ""
