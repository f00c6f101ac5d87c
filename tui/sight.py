"""Why a loaded model sees no images, in words."""

from __future__ import annotations

from modeldeck.engines.types import LoadedModel


def blind_words(loaded: LoadedModel) -> tuple[str, str]:
    """Cause and next step for a model that was loaded and sees no images."""
    model = loaded.model
    if model.projector is None:
        return (
            f"{model.name} sees no images: it has no projector (mmproj) here.",
            "Load a vision model with its mmproj file beside it.",
        )
    return (
        f"{model.name} sees no images with {loaded.engine}.",
        "Load it with llama_server, which uses its projector.",
    )
