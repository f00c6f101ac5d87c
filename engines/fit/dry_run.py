"""llama.cpp's own sizes, and what they make of a verdict. Pure.

A build for the CPU proves weights, caches and state on any card; what it says of compute buffers
holds for runs on the CPU only, because each backend has its own. For an NVIDIA card it may have a
stand-in, which is sized by CUDA's rules (``cuda_stand_in.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from modeldeck.engines.fit.rebilled import rebilled
from modeldeck.engines.fit.types import Bill, Card, Verdict, VerdictKind
from modeldeck.engines.types import Plan
from modeldeck.engines.units import MIB, gib_number, gib_text, tokens_text

HOST: Final = "Host"
STAND_IN: Final = "CUDA-sized"
"""Name of the device that stands in for an NVIDIA card."""

_AGREE: Final = 0.002


@dataclass(frozen=True, slots=True)
class DeviceSizes:
    """What one device would hold, in whole MiB rounded down, as llama.cpp prints it.

    Attributes:
        name: of the device, ``Host`` for the host.
        weights_bytes: of the model.
        cache_bytes: KV cache and recurrent state.
        compute_bytes: temporary buffers.
    """

    name: str
    weights_bytes: int
    cache_bytes: int
    compute_bytes: int


def sizes_of(lines: Sequence[str]) -> tuple[DeviceSizes, ...]:
    """The sizes in what ``common_fit_print`` prints: ``CUDA0 10953 402 104``; empty for none."""
    found: list[DeviceSizes] = []
    for line in lines:
        name, *numbers = line.split() or [""]
        if len(numbers) == 3 and all(n.isdecimal() and len(n) < 12 for n in numbers):
            weights, cache, compute = (int(n) * MIB for n in numbers)
            found.append(DeviceSizes(name, weights, cache, compute))
    return tuple(found) if any(sizes.name == HOST for sizes in found) else ()


def checked(verdict: Verdict, plan: Plan, sizes: Sequence[DeviceSizes], card: Card) -> Verdict:
    """``verdict`` with the engine's sizes where they are its answer for this plan.

    For a run on the CPU that is the whole bill. For one on the GPU it is, too, where the build has
    that card's backend. Where it has not, weights and caches are held against the bill, and a
    stand-in's compute buffers take the place of the formula's; the verdict says so in its
    ``proof``, and its source stays.
    """
    host = next(one for one in sizes if one.name == HOST)
    devices = [one for one in sizes if one.name != HOST]
    if plan.gpu_layers == 0:
        return _on_cpu(verdict, plan, host, card)
    bill = verdict.bill
    if bill is None:
        return verdict
    if not devices:
        said = "agrees on" if agrees(bill, sizes) else "counts otherwise:"
        return verdict._replace(proof=f"llama.cpp {said} weights and cache")
    if all(one.name == STAND_IN for one in devices):
        return _by_the_rules(verdict, plan, sizes, card)
    kv_share = bill.kv_gpu_bytes + bill.kv_host_bytes
    state = bill.recurrent_gpu_bytes + bill.recurrent_host_bytes
    state = state if kv_share else sum(one.cache_bytes for one in sizes)
    gpu_cache = _up(sum(one.cache_bytes for one in devices))
    engine = bill._replace(
        weights_gpu_bytes=_up(sum(one.weights_bytes for one in devices)),
        weights_host_bytes=_up(host.weights_bytes),
        kv_gpu_bytes=gpu_cache - min(state, gpu_cache),
        kv_host_bytes=_up(host.cache_bytes) if kv_share else 0,
        recurrent_gpu_bytes=min(state, gpu_cache),
        recurrent_host_bytes=0 if kv_share else _up(host.cache_bytes),
        compute_gpu_bytes=_up(sum(one.compute_bytes for one in devices)),
        compute_host_bytes=_up(host.compute_bytes),
    )
    return rebilled(verdict, plan, engine, card, "engine")


def with_draft_sizes(
    verdict: Verdict, plan: Plan, sizes: Sequence[DeviceSizes], card: Card
) -> Verdict:
    """``verdict`` with the engine's sizes of the draft model, where it has them all.

    A build without a backend for the card proves its weights and its cache, like the model's own.

    Args:
        verdict: on the model, with the draft model by formula.
        plan: of the model.
        sizes: of the draft model, alone on its own plan.
        card: what is free now.
    """
    bill = verdict.bill
    if bill is None:
        return verdict
    devices = [one for one in sizes if one.name != HOST]
    if plan.gpu_layers and not devices:
        return verdict._replace(proof=f"{verdict.proof or 'it sized the model'}; not the draft's")
    said = bill._replace(
        draft_bytes=_up(sum(_whole(one) for one in devices)),
        draft_host_bytes=_up(sum(_whole(one) for one in sizes if one.name == HOST)),
    )
    return rebilled(verdict, plan, said, card, verdict.source)._replace(proof=verdict.proof)


def _whole(one: DeviceSizes) -> int:
    return one.weights_bytes + one.cache_bytes + one.compute_bytes


def _by_the_rules(
    verdict: Verdict, plan: Plan, sizes: Sequence[DeviceSizes], card: Card
) -> Verdict:
    """The verdict with the compute buffers that a stand-in and the host have."""
    bill = verdict.bill
    if bill is None or not agrees(bill, sizes):
        return verdict._replace(proof="llama.cpp counts otherwise: weights and cache")
    sized = bill._replace(
        compute_gpu_bytes=_up(sum(one.compute_bytes for one in sizes if one.name != HOST)),
        compute_host_bytes=_up(sum(one.compute_bytes for one in sizes if one.name == HOST)),
    )
    found = rebilled(verdict, plan, sized, card, verdict.source)
    return found._replace(proof="llama.cpp sized it, compute buffers by CUDA's rules")


def agrees(bill: Bill, sizes: Sequence[DeviceSizes]) -> bool:
    """Whether weights and caches are what the bill says, wherever they lie."""
    weights = bill.weights_gpu_bytes + bill.weights_host_bytes
    cache = bill.kv_gpu_bytes + bill.kv_host_bytes
    cache += bill.recurrent_gpu_bytes + bill.recurrent_host_bytes
    said_weights = sum(one.weights_bytes for one in sizes)
    said_cache = sum(one.cache_bytes for one in sizes)
    return _near(cache, said_cache) and weights + 2 * MIB >= said_weights


def _near(ours: int, theirs: int) -> bool:
    return abs(ours - theirs) <= max(2 * MIB, _AGREE * theirs)


def _on_cpu(verdict: Verdict, plan: Plan, host: DeviceSizes, card: Card) -> Verdict:
    old = verdict.bill or Bill()
    state = min(old.recurrent_host_bytes, host.cache_bytes)
    bill = old._replace(
        weights_host_bytes=_up(host.weights_bytes),
        kv_host_bytes=_up(host.cache_bytes) - state,
        recurrent_host_bytes=state,
        compute_host_bytes=_up(host.compute_bytes),
    )
    need, ram = bill.total_host_bytes, card.ram_bytes
    if need > ram:
        reason = f"does not fit: needs {gib_text(need)} of memory, there are {gib_number(ram)} free"
        kind = VerdictKind.DOES_NOT_FIT
    else:
        used = f"{gib_number(need)} of {gib_text(ram)}"
        reason = f"CPU only: {used} memory with {tokens_text(plan.context_tokens)} context"
        kind = VerdictKind.CPU_ONLY
    return verdict._replace(kind=kind, source="engine", reason=reason, bill=bill)


def _up(size_bytes: int) -> int:
    """llama.cpp prints whole MiB and drops the rest: what it says, and at most one MiB more."""
    return size_bytes + MIB if size_bytes else 0
