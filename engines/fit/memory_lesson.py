"""What loads on this box teach about memory: a correction of the closed form, and how sure it is.

Weights, caches and states are exact by formula. Compute buffers differ with the engine's build and
the card, CUDA's context with the driver: those are corrected, by what loads of one architecture in
one build of an engine on one card took beyond the formula. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from modeldeck.engines.buffers import Buffer, BufferKind, total_bytes
from modeldeck.engines.fit.types import Bill, Correction
from modeldeck.engines.units import GIB

Sizes = Mapping[str, int]
"""Bytes by the bill's names for them; a term that nobody measured is not in it."""

_TERMS: Final = frozenset(name for name in Bill._fields if name.endswith("_bytes"))

LEAST_LOADS: Final = 2
_LOADS_THAT_AGREE: Final = 3
_NO_ERROR_OF_A_FORMULA_BYTES: Final = 2 * GIB


class LoadSizes(NamedTuple):
    """One load: what it took, and what the closed form had said."""

    measured: Sizes
    predicted: Sizes


def measured_sizes(buffers: Sequence[Buffer], process_gpu_bytes: int | None) -> dict[str, int]:
    """What a load took, by the bill's names.

    Args:
        buffers: as the engine named them; nothing comes of a log without weights or compute.
        process_gpu_bytes: what its process holds of the card, as the driver says; what is in no
            buffer is the context's. None leaves the context unmeasured.
    """
    if not {"weights", "compute"} <= {one.kind for one in buffers}:
        return {}
    sizes: dict[str, int] = {}
    for side, on_host in (("gpu", False), ("host", True)):
        sizes[f"weights_{side}_bytes"] = total_bytes(buffers, "weights", on_host=on_host)
        sizes[f"kv_{side}_bytes"] = total_bytes(buffers, "kv", on_host=on_host)
        sizes[f"recurrent_{side}_bytes"] = total_bytes(buffers, "recurrent", on_host=on_host)
        compute_bytes = total_bytes(buffers, "compute", "output", on_host=on_host)
        sizes[f"compute_{side}_bytes"] = compute_bytes
        if any(one.kind == "projector" for one in buffers):
            sizes[f"projector_{side}_bytes"] = total_bytes(buffers, "projector", on_host=on_host)
    beside: tuple[BufferKind, ...] = ("lora", "draft")
    for kind in beside:
        sizes[f"{kind}_bytes"] = total_bytes(buffers, kind, on_host=False)
        sizes[f"{kind}_host_bytes"] = total_bytes(buffers, kind, on_host=True)
    in_buffers = total_bytes(buffers, on_host=False)
    if process_gpu_bytes is not None and process_gpu_bytes >= in_buffers:
        sizes["context_overhead_bytes"] = process_gpu_bytes - in_buffers
    return sizes


def correction_of(loads: Sequence[LoadSizes]) -> Correction | None:
    """What these loads say of the next one like them; None when they are too few to say anything.

    Args:
        loads: of one architecture in one build on one card, each model and its options once: the
            same load again says nothing new.
    """
    usual = [load for load in loads if _is_usual(load)]
    if len(usual) < LEAST_LOADS:
        return None
    compute = [_beyond(load, "compute_gpu_bytes") or 0 for load in usual]
    overhead = [_beyond(load, "context_overhead_bytes") for load in usual]
    host = [_beyond(load, "compute_host_bytes") or 0 for load in usual]
    shifts = (
        settled(compute),
        settled([beyond for beyond in overhead if beyond is not None]),
        settled(host),
    )
    left = [
        one - shifts[0] + (0 if other is None else other - shifts[1])
        for one, other in zip(compute, overhead, strict=True)
    ]
    if not any(load.measured.get("weights_gpu_bytes") for load in usual):
        left = [beyond - shifts[2] for beyond in host]
    return Correction(*shifts, spread_bytes=_spread(left), loads=len(usual))


def settled(beyond: Sequence[int]) -> int:
    """How much to add for what loads took beyond the formula, in bytes; negative: how much less.

    The median, from two loads on, where it is more: a bill that is too small is the costly mistake.
    Never less than the formula, unless three loads or more all took less; then by what the one that
    came closest to it was under.
    """
    if len(beyond) < LEAST_LOADS:
        return 0
    if len(beyond) >= _LOADS_THAT_AGREE and max(beyond) < 0:
        return max(beyond)
    ordered, middle = sorted(beyond), len(beyond) // 2
    return max(0, (ordered[middle] + ordered[-1 - middle]) // 2)


def corrected_bill(bill: Bill, correction: Correction | None) -> Bill:
    """The bill with the correction on its terms, none of them below nothing."""
    if correction is None:
        return bill
    return bill._replace(
        compute_gpu_bytes=max(0, bill.compute_gpu_bytes + correction.compute_bytes),
        context_overhead_bytes=max(0, bill.context_overhead_bytes + correction.overhead_bytes),
        compute_host_bytes=max(0, bill.compute_host_bytes + correction.compute_host_bytes),
        spread_bytes=correction.spread_bytes,
        loads=correction.loads,
    )


def measured_bill(bill: Bill, sizes: Sizes) -> Bill:
    """The bill with what was measured in place of its terms; the others stay."""
    terms = {name: size for name, size in sizes.items() if name in _TERMS and size >= 0}
    known = not bill.context_overhead_bytes or "context_overhead_bytes" in terms
    return Bill._make({**bill._asdict(), **terms, "spread_bytes": 0, "loads": int(known)}.values())


def _spread(left: Sequence[int]) -> int:
    """Within which three of four lie: one odd load in four says nothing of the others."""
    distances = sorted(abs(one) for one in left)
    return distances[-(-3 * len(distances) // 4) - 1]


def _beyond(load: LoadSizes, name: str) -> int | None:
    measured, predicted = load.measured.get(name), load.predicted.get(name)
    return None if measured is None or predicted is None else measured - predicted


def _is_usual(load: LoadSizes) -> bool:
    """No formula is so far off: whatever was measured there was something else."""
    return all(
        abs(_beyond(load, name) or 0) <= _NO_ERROR_OF_A_FORMULA_BYTES
        for name in ("compute_gpu_bytes", "context_overhead_bytes", "compute_host_bytes")
    )
