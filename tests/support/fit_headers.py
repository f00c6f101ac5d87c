"""Headers to judge, made of numbers alone."""

from __future__ import annotations

from modeldeck.engines.types import BlockWeights, ModelHeader, WeightTable

MIB = 1 << 20


def llama(layers: int = 40, block_mib: int = 183, trained: int = 40960) -> ModelHeader:
    """A dense llama of 14B proportions."""
    blocks = tuple(BlockWeights(at, block_mib * MIB, 0, 0) for at in range(layers))
    return ModelHeader(
        architecture="llama",
        name="",
        parameters=0,
        quantisation="Q4_K_M",
        context_length=trained,
        vocabulary_size=151936,
        has_chat_template=True,
        hparams={
            "llama.block_count": layers,
            "llama.embedding_length": 5120,
            "llama.feed_forward_length": 17408,
            "llama.attention.head_count": 40,
            "llama.attention.head_count_kv": 8,
        },
        weights=WeightTable(blocks, 417 * MIB, 0, 608 * MIB),
        tensor_count=1,
    )
