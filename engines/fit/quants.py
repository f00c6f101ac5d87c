"""The quantisations a model is published in, and what one that is not here would weigh."""

from __future__ import annotations

from typing import Final

from modeldeck.engines.types import BlockWeights, ModelHeader, WeightTable

QUANTS: Final = (
    ("IQ2_XXS", 2.3824),
    ("IQ2_M", 2.9294),
    ("Q2_K", 3.1593),
    ("IQ3_XXS", 3.2548),
    ("IQ3_M", 3.7628),
    ("Q3_K_M", 3.9960),
    ("IQ4_XS", 4.4597),
    ("Q4_K_M", 4.8944),
    ("Q5_K_M", 5.7036),
    ("Q6_K", 6.5633),
    ("Q8_0", 8.5008),
    ("F16", 16.0005),
)
"""Name and bits per weight over a whole model, small to large: Llama-3.1-8B as llama.cpp's
``tools/quantize/README.md`` measured it. Other models differ by a few per cent."""


def bits_per_weight(header: ModelHeader) -> float:
    """Bits per weight over all tensors; 0 for a header without parameters."""
    return 8 * header.weights.total_bytes / header.parameters if header.parameters > 0 else 0.0


def requantised(header: ModelHeader, quantisation: str, bits: float) -> ModelHeader:
    """The same model in another quantisation, each of its tensors scaled alike: an estimate."""
    here = bits_per_weight(header)
    return header._replace(
        quantisation=quantisation,
        weights=_scaled(header.weights, bits / here) if here else header.weights,
    )


def _scaled(table: WeightTable, factor: float) -> WeightTable:
    blocks = tuple(
        BlockWeights(
            block.number,
            round(block.dense_bytes * factor),
            round(block.expert_bytes * factor),
            block.cuda_padding_bytes,
        )
        for block in table.blocks
    )
    return table._replace(
        blocks=blocks,
        token_embedding_bytes=round(table.token_embedding_bytes * factor),
        host_only_bytes=round(table.host_only_bytes * factor),
        output_bytes=round(table.output_bytes * factor),
        other_bytes=round(table.other_bytes * factor),
    )
