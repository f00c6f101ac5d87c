"""What is loaded with a model, read from its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modeldeck.engines.catalog.projectors import projector_size
from modeldeck.engines.fit.companions import Companions
from modeldeck.engines.store.headers import HeaderCache
from modeldeck.engines.types import Draft, LocalModel, ModelHeader


def companions_of(
    model: LocalModel, draft: Draft | None, adapters: Sequence[str], headers: HeaderCache
) -> Companions:
    """The projector beside ``model``, the draft model and the adapters that it is loaded with.

    Raises:
        ModelNotFound: a file has gone, or holds no model.
        FormatError: an adapter is none.
    """
    file_bytes = projector_size(model)
    if not adapters and (draft is None or not draft.model):
        return Companions(file_bytes)
    from modeldeck.engines.catalog.adapters import adapter_at  # 10 ms

    return Companions(
        file_bytes,
        draft_header(Path(draft.model), headers) if draft is not None and draft.model else None,
        tuple(adapter_at(Path(adapter)) for adapter in adapters),
    )


def draft_header(path: Path, headers: HeaderCache) -> ModelHeader:
    """The header of a draft model on this machine. Raises ModelNotFound."""
    from modeldeck.engines.catalog.scan import model_at
    from modeldeck.engines.errors import ModelNotFound

    found = model_at(path, headers)
    if found.header is None:
        raise ModelNotFound(f"The draft model: {found.problem}", "Choose another draft model.")
    return found.header
