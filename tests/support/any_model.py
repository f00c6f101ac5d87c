"""A header of any architecture, of keys and round sizes alone."""

from __future__ import annotations

from modeldeck.engines.fit.architectures import ARCHITECTURES
from modeldeck.engines.types import BlockWeights, HParam, ModelHeader, WeightTable
from tests.support.llama_keys import EXPERTS, keys_of

KEYS = {name: keys_of(name) for name in sorted(ARCHITECTURES)}


def header(name: str, tied: bool = False, scale: int = 1) -> ModelHeader:
    """A small model; ``scale`` times as heavy."""
    hparams: dict[str, HParam] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in KEYS[name].items()
    }
    layers = hparams[f"{name}.block_count"]
    assert isinstance(layers, int)
    experts = 300_000 * scale if name in EXPERTS else 0
    return ModelHeader(
        architecture=name,
        name="",
        parameters=0,
        quantisation="Q8_0",
        context_length=131072,
        vocabulary_size=32000,
        has_chat_template=False,
        hparams=hparams,
        weights=WeightTable(
            tuple(
                BlockWeights(at, scale * 100_000 + at, experts, 384, 128) for at in range(layers)
            ),
            token_embedding_bytes=5_000,
            host_only_bytes=700,
            output_bytes=60,
            output_tied=tied,
            other_bytes=8,
        ),
        tensor_count=1,
    )
