"""How many tokens vLLM and SGLang have room for: they take their share and fill it with cache.

Source: vLLM 0.11.2 (``gpu_worker.py``, ``kv_cache_utils.py``). What it takes for activations it
measures with a run of its own; here that is an estimate, so that the tokens are one too. CUDA
graphs come on top of the share in this version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from modeldeck.engines.fit.kept import Kept
from modeldeck.engines.fit.types import Bill
from modeldeck.engines.units import MIB

_OUTSIDE_TORCH_BYTES: Final = 512 * MIB


@dataclass(frozen=True, slots=True)
class PagedProfile:
    """What a server that keeps its cache in pages does unless told otherwise.

    Attributes:
        name: of the engine's adapter.
        share: of all the card's memory, for everything.
        page_tokens: of one page.
        batched_tokens: at most in one step.
        sequences: at most in one step.
        element_bytes: of the cache.
        activations_inside: the share has to hold them too; else they come on top.
    """

    name: str
    share: float = 0.9
    page_tokens: int = 16
    batched_tokens: int = 2048
    sequences: int = 256
    element_bytes: int = 2
    activations_inside: bool = True


VLLM: Final = PagedProfile("vllm")
SGLANG: Final = PagedProfile("sglang", share=0.88, page_tokens=1, activations_inside=False)


@dataclass(frozen=True, slots=True)
class PagedRoom:
    """What is left for the cache.

    Attributes:
        bill: the whole share; the cache is what remains of it.
        tokens: of cache over all requests; 0 when not one request of the context fits.
        requests: of that context at once.
        fits: it starts at all: one request of the context has room, and the share is free.
        missing_bytes: for one request; 0 when it fits.
    """

    bill: Bill
    tokens: int
    requests: float
    fits: bool
    missing_bytes: int


def paged_room(
    model: Kept,
    context_tokens: int,
    total_bytes: int,
    free_bytes: int,
    profile: PagedProfile = VLLM,
) -> PagedRoom:
    """The split of a card between weights, activations and cache.

    Args:
        model: what it keeps.
        context_tokens: the longest request (``max_model_len``); it must fit or nothing starts.
        total_bytes: of the card.
        free_bytes: now; vLLM refuses to start with less than its share free.
        profile: the engine's habits.
    """
    share = int(total_bytes * profile.share)
    activations = _activations(model, profile)
    inside = activations if profile.activations_inside else 0
    left = share - model.weights_bytes - _OUTSIDE_TORCH_BYTES - inside
    one = request_bytes(model, context_tokens, profile)
    fits = left >= one and free_bytes >= share
    requests = left / one if fits and one else 0.0
    cache = max(left, 0)
    bill = Bill(
        weights_gpu_bytes=model.weights_bytes,
        kv_gpu_bytes=cache,
        compute_gpu_bytes=activations,
        context_overhead_bytes=_OUTSIDE_TORCH_BYTES,
    )
    missing = max(one - left, share - free_bytes, 0)
    return PagedRoom(bill, int(requests * context_tokens), requests, fits, missing)


def request_bytes(model: Kept, context_tokens: int, profile: PagedProfile = VLLM) -> int:
    """Pages of one request: of a window only what its next step may see.

    A recurrent state takes whole pages of attention's size, one for each block that has one.
    """
    page = profile.page_tokens
    pages = -(-context_tokens // page)
    seen = min(model.window_tokens - 1 + profile.batched_tokens, context_tokens)
    window_pages = min(-(-seen // page) + 1, pages) if model.window_tokens else 0
    cells = page * (pages * model.elements + window_pages * model.sliding_elements)
    return cells * profile.element_bytes + 4 * model.state_elements


def _activations(model: Kept, profile: PagedProfile) -> int:
    """A step at its largest: logits of every sequence, and a batch in one block."""
    logits = profile.sequences * model.vocabulary * 6
    network = profile.batched_tokens * (3 * model.feed_forward + 4 * model.embedding) * 2
    return logits + network
