"""Time to decode one token: memory bandwidth rules, on each device in turn.

``t = t0 + sum over devices (bytes / (efficiency * bandwidth)) + launches + crossings``. Layers run
one after the other, so the times of devices add. Calibrated on the rows of docs/accuracy.md; every
constant names what it rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from modeldeck.engines.fit.token_cost import DeviceCost, TokenCost
from modeldeck.engines.fit.types import Card, HostSpeed, Rates

# Small models launch kernels more than they read: gemma-2-2B and Llama-3.2-3B against 7B to 14B.
_SMALL_BYTES: Final = 2.0e9
_LARGE_BYTES: Final = 3.7e9
_SMALL_SECONDS: Final = 1.8e-3
_LARGE_SECONDS: Final = 0.34e-3

# Choosing experts and gathering their results, a block: gpt-oss-20b. A recurrent block on top of
# that: Qwen3.6-35B-A3B. A dense hybrid of 27B shows nothing of it.
_ROUTED_BLOCK_SECONDS: Final = 60e-6
_RECURRENT_ROUTED_BLOCK_SECONDS: Final = 100e-6

# To the CPU and back for a block whose experts are there.
_CROSSING_SECONDS: Final = 30e-6

# Low-bit types cost decoding work on top of the reading; on a CPU more of it.
_SLOW_ON_GPU: Final = (("IQ1", 0.7), ("IQ2", 0.75), ("IQ3", 0.8), ("Q2", 0.85), ("Q3", 0.9))
_SLOW_ON_CPU: Final = (("IQ1", 0.55), ("IQ2", 0.6), ("IQ3", 0.65), ("IQ4", 0.9))

# Shares of the memory bandwidth that a copy reaches. Experts are read in pieces, here and there.
_HOST_SHARE: Final = 0.95
_HOST_EXPERT_SHARE: Final = 0.64
_THREAD_BYTES_PER_SECOND: Final = 13e9
"""What one thread multiplies with at most (gpt-oss-20b with one thread, Ryzen 5700X)."""

_ENGINE_FACTOR: Final = {"ollama": 0.89, "vulkan": 0.85}
"""Rate beside llama.cpp's own programs with CUDA, by engine or backend."""

_DOUBT: Final = 0.30
"""Half width of the band where more than weights on one GPU decides."""

_LEAST_DOUBT: Final = 0.15


def decode_rate(
    cost: TokenCost,
    cards: Sequence[tuple[Card, float]],
    host: HostSpeed | None,
    engine: str = "llama_server",
) -> Rates | None:
    """Predicted tokens per second, or None when a figure that it takes is not known.

    Args:
        cost: one token at the depth that is meant.
        cards: each GPU, and the share of the GPU's part that it computes.
        host: needed when the CPU has a part in it.
        engine: adapter name, or ``vulkan`` for that backend of llama.cpp.
    """
    seconds = host_decode_seconds(cost, host)
    if seconds is None:
        return None
    doubt = _LEAST_DOUBT
    if cost.host.read_bytes or cost.routed or slow_on_gpu(cost.quantisation) < 1:
        doubt = _DOUBT
    if cost.gpu.read_bytes:
        if not cards:
            return None
        seconds += fixed_seconds(cost)
        for card, share in cards:
            peak = card.bandwidth_bytes_per_second
            if not peak or card.decode_efficiency is None:
                return None
            low, middle, high = card.decode_efficiency
            reached = middle * peak
            seconds += share * _gpu_seconds(cost.gpu, cost.quantisation, reached)
            doubt = max(doubt, 1 - low / middle, high / middle - 1)
    if seconds <= 0:
        return None
    return band(_ENGINE_FACTOR.get(engine, 1.0) / seconds, doubt)


def host_decode_seconds(cost: TokenCost, host: HostSpeed | None) -> float | None:
    """The CPU's part of a token; None when it has one and the host's speed is not known."""
    part = cost.host
    if not part.read_bytes:
        return 0.0
    if host is None:
        return None
    by_threads = host.threads * _THREAD_BYTES_PER_SECOND
    slow = _factor(_SLOW_ON_CPU, cost.quantisation)
    dense = slow * min(_HOST_SHARE * host.bandwidth_bytes_per_second, by_threads)
    routed = slow * min(_HOST_EXPERT_SHARE * host.bandwidth_bytes_per_second, by_threads)
    crossings = part.routed_blocks if cost.gpu.read_bytes else 0
    return (
        (part.weight_bytes + part.cache_bytes) / dense
        + part.expert_bytes / routed
        + crossings * _CROSSING_SECONDS
    )


def slow_on_gpu(quantisation: str) -> float:
    """Share of the usual rate that a GPU decodes this type with."""
    return _factor(_SLOW_ON_GPU, quantisation)


def band(middle: float, doubt: float) -> Rates:
    """A rate with its doubt on both sides; ``doubt`` is at most 0.35."""
    doubt = min(doubt, 0.35)
    return Rates(middle * (1 - doubt), middle, middle * (1 + doubt))


def _gpu_seconds(part: DeviceCost, quantisation: str, bytes_per_second: float) -> float:
    weights = (part.weight_bytes + part.expert_bytes) / slow_on_gpu(quantisation)
    return (weights + part.cache_bytes) / bytes_per_second


def fixed_seconds(cost: TokenCost) -> float:
    """What is not reading: kernel launches and the routing of experts."""
    part = cost.gpu
    blocks = part.routed_blocks + cost.host.routed_blocks
    if blocks:
        recurrent = part.recurrent_blocks * _RECURRENT_ROUTED_BLOCK_SECONDS
        return _LARGE_SECONDS + blocks * _ROUTED_BLOCK_SECONDS + recurrent
    read = part.weight_bytes + cost.host.weight_bytes
    small = (_LARGE_BYTES - read) / (_LARGE_BYTES - _SMALL_BYTES)
    return _LARGE_SECONDS + min(max(small, 0.0), 1.0) * (_SMALL_SECONDS - _LARGE_SECONDS)


def _factor(table: tuple[tuple[str, float], ...], quantisation: str) -> float:
    return next((factor for name, factor in table if name in quantisation), 1.0)
