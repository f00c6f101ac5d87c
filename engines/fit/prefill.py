"""Time to read a prompt: arithmetic rules on the GPU, PCIe where weights are in host memory.

A micro-batch multiplies every weight in use with each of its tokens. Weights of the host are copied
to the GPU for it (llama.cpp, ``op_offload``), all experts too: among hundreds of tokens each expert
is some token's. Copies do not overlap with computing. A short prompt is read no faster than the
weights are, and every micro-batch launches its kernels anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from modeldeck.engines.fit.decode import band, fixed_seconds
from modeldeck.engines.fit.token_cost import DeviceCost, TokenCost
from modeldeck.engines.fit.types import Card, HostSpeed, Rates

# Share of the FP16 peak (FP32 accumulation). Quantised weights are multiplied as int8, whose peak
# is four times that: Qwen3.x-27B Q4_K_M on two RTX 3060, exllama 7B. Experts come in small pieces:
# gpt-oss-20b, Qwen3-Coder-30B-A3B.
_DENSE_SHARE: Final = 0.88
_EXPERT_SHARE: Final = 0.47
_BACKEND_SHARE: Final = {"vulkan": 0.43}

_THREAD_FLOPS: Final = 22e9
"""Of one CPU thread with k-quants (Qwen3.6-35B-A3B, six threads of an i5-12400F)."""

_COPIED_FROM_TOKENS: Final = 32
_DOUBT: Final = 0.30
_WIDE_DOUBT: Final = 0.35


def prefill_rate(
    cost: TokenCost,
    cards: Sequence[tuple[Card, float]],
    host: HostSpeed | None,
    *,
    micro_batch_tokens: int = 512,
    prompt_tokens: int = 512,
    engine: str = "llama_server",
) -> Rates | None:
    """Predicted tokens per second of a prompt; None when a figure that it takes is not known.

    Args:
        cost: one token at the prompt's mean depth, half of its length.
        cards: each GPU, and the share of the GPU's part that it computes.
        host: needed when the CPU has to compute.
        micro_batch_tokens: computed at once.
        prompt_tokens: of the prompt; several cards work on its micro-batches at the same time.
        engine: adapter name, or ``vulkan`` for that backend of llama.cpp.
    """
    batch = min(micro_batch_tokens, prompt_tokens)
    if not cards:
        seconds = _host_seconds(cost.host, host)
        return None if not seconds else band(1 / seconds, _WIDE_DOUBT)
    times = [_card_seconds(cost.gpu, card, share, engine, batch) for card, share in cards]
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        return None
    # As many micro-batches as there are, one card behind the other.
    batches = max(prompt_tokens // batch, 1)
    stages = (sum(known) + (batches - 1) * max(known)) / batches
    offloaded = _offloaded_seconds(cost.host, cards[0][0], host, batch, engine)
    if offloaded is None or stages + offloaded <= 0:
        return None
    doubt = _WIDE_DOUBT if cost.host.stored_bytes or cost.routed else _DOUBT
    launches = fixed_seconds(cost) / batch if cost.gpu.read_bytes else 0.0
    return band(1 / (stages + offloaded + launches), doubt)


def _card_seconds(
    part: DeviceCost, card: Card, share: float, engine: str, batch: int
) -> float | None:
    """For each token: the arithmetic, or its share of reading all weights once if that is more."""
    if card.fp16_flops is None:
        return None
    peak = card.fp16_flops * _BACKEND_SHARE.get(engine, 1.0)
    reached = peak * (_EXPERT_SHARE if part.routed_blocks else _DENSE_SHARE)
    computed = (2 * part.elements + part.attention_flops) / reached
    read = 0.0
    if card.bandwidth_bytes_per_second:
        read = part.stored_bytes / card.bandwidth_bytes_per_second / batch
    return share * max(computed, read)


def _offloaded_seconds(
    part: DeviceCost, card: Card, host: HostSpeed | None, batch: int, engine: str
) -> float | None:
    """For each token: the copying of host weights, and their part of the arithmetic."""
    if not part.stored_bytes:
        return 0.0
    if batch < _COPIED_FROM_TOKENS:
        return _host_seconds(part, host)
    bus = card.pcie_bytes_per_second
    if bus is None:
        return None
    if host is not None:
        bus = min(bus, host.bandwidth_bytes_per_second)
    computed = _card_seconds(part, card, 1.0, engine, batch)
    return None if computed is None else part.stored_bytes / bus / batch + computed


def _host_seconds(part: DeviceCost, host: HostSpeed | None) -> float | None:
    if host is None:
        return None
    return (2 * part.elements + part.attention_flops) / (host.threads * _THREAD_FLOPS)
