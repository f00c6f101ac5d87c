"""Predicted decode rate: decoding reads every weight once per token, so memory bandwidth rules.

``t = t0 + bytes / (efficiency * bandwidth)``. On an RTX 3060 the middle of the band hits measured
rates of 7B to 14B models within 2 %: t0 0.34 ms, 80 % of 360 GB/s. Small models launch kernels more
than they read: 1.8 ms up to 2 GB (gemma-2-2B, Llama-3.2-3B), falling to 0.34 ms at 3.7 GB.
"""

from __future__ import annotations

from typing import Final

from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.fit.types import Card

_SMALL_BYTES: Final = 2.0e9
_LARGE_BYTES: Final = 3.7e9
_SMALL_SECONDS: Final = 1.8e-3
_LARGE_SECONDS: Final = 0.34e-3

# Beyond this the launches and not the memory set the pace; no law was calibrated there.
_LARGEST_BANDWIDTH: Final = 1.1e12

# Low-bit types cost decoding work on top of the reading.
_SLOW_TYPES: Final = (("IQ1", 0.7), ("IQ2", 0.75), ("IQ3", 0.8), ("Q2", 0.85), ("Q3", 0.9))


def decode_rates(shape: Shape, card: Card) -> tuple[float, float, float] | None:
    """Tokens per second as (low, middle, high): all of the model on the card, no context yet.

    None when the card's bandwidth is not known or outside what the law was calibrated on.
    """
    bandwidth, efficiency = card.bandwidth_bytes_per_second, card.decode_efficiency
    if shape.experts_used or shape.state_bytes[-1]:
        return None
    if bandwidth is None or efficiency is None or not 0 < bandwidth <= _LARGEST_BANDWIDTH:
        return None
    read_bytes = shape.blocks_gpu_bytes[-1] + shape.output_gpu_bytes
    small = (_LARGE_BYTES - read_bytes) / (_LARGE_BYTES - _SMALL_BYTES)
    fixed = _LARGE_SECONDS + min(max(small, 0.0), 1.0) * (_SMALL_SECONDS - _LARGE_SECONDS)
    slow = next((factor for name, factor in _SLOW_TYPES if name in shape.quantisation), 1.0)
    low, middle, high = efficiency
    # What a low-bit type really costs is known badly: its band is as wide as the doubt.
    return (
        1 / (fixed + read_bytes / (low * slow * bandwidth)),
        1 / (fixed + read_bytes / (middle * slow * bandwidth)),
        1 / (fixed + read_bytes / (high * (1 + slow) / 2 * bandwidth)),
    )
