"""The verdict and its bill."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal, NamedTuple

from modeldeck.engines.types import Split
from modeldeck.engines.units import MIB


class VerdictKind(StrEnum):
    """The answers there are; the command line prints these values."""

    FITS = "fits"
    FITS_EXPERTS_ON_CPU = "fits-experts-on-cpu"
    FITS_PARTIAL = "fits-partial"
    CPU_ONLY = "cpu-only"
    DOES_NOT_FIT = "does-not-fit"
    CANNOT_RUN = "cannot-run"
    NOT_JUDGED = "not-judged"


WHOLE_ON_GPU: Final = frozenset({VerdictKind.FITS, VerdictKind.FITS_EXPERTS_ON_CPU})
"""Every layer is on the GPU."""

RUNS: Final = WHOLE_ON_GPU | {VerdictKind.FITS_PARTIAL, VerdictKind.CPU_ONLY}
"""It runs somehow."""


VerdictSource = Literal["closed-form", "engine", "measured", "needs-dry-run", "policy"]

Vendor = Literal["nvidia", "amd", "apple", "intel"]


class Rates(NamedTuple):
    """Tokens per second, predicted."""

    low: float
    middle: float
    high: float


class HostSpeed(NamedTuple):
    """What the host's processor and memory do.

    Attributes:
        bandwidth_bytes_per_second: reached when reading memory with all threads, not the peak.
        threads: that compute.
    """

    bandwidth_bytes_per_second: float
    threads: int


class Correction(NamedTuple):
    """What loads on this box took beyond the closed form (``memory_lesson.py``).

    Attributes:
        compute_bytes: of compute buffers on the GPU.
        overhead_bytes: of CUDA's context and modules.
        compute_host_bytes: of compute buffers in host memory.
        spread_bytes: three of four loads lay within this of the corrected total.
        loads: that it is from.
    """

    compute_bytes: int
    overhead_bytes: int
    compute_host_bytes: int
    spread_bytes: int
    loads: int


class Corrections(NamedTuple):
    """Corrections by what computes; None where too little was loaded that way.

    Attributes:
        gpu: everything is on the GPU.
        mixed: layers or experts are on the CPU.
        cpu: nothing is on the GPU.
    """

    gpu: Correction | None = None
    mixed: Correction | None = None
    cpu: Correction | None = None


class Card(NamedTuple):
    """The memory a verdict is judged against.

    Attributes:
        name: as shown (``RTX 3060 12GB``).
        usable_bytes: what a process could have on an empty card (driver reserve taken off).
        free_bytes: what is free now; equals ``usable_bytes`` for a what-if card.
        what_if: the card is assumed, not present.
        ram_bytes: host memory available for weights kept on the CPU.
        bandwidth_bytes_per_second: of the card's memory, from its data sheet; None when unknown,
            and then no rate is predicted.
        decode_efficiency: share of that bandwidth which decoding reaches, as (low, middle, high).
        fp16_flops: peak of dense FP16 matrix products, per second; None when unknown.
        pcie_bytes_per_second: what a copy from host memory reaches; None: unknown, or unified.
        vendor: who made it; None when unknown.
        host: speed of the processor beside it; None until measured.
        compute: NVIDIA: compute capability (``8.6``); AMD: LLVM target (``gfx1100``).
        learnt: what loads of one architecture in one engine took here beyond the closed form;
            None for a card that nothing was learnt of, or not for the model at hand.
        parts: the cards that it is made of, in the order of PCI; none for one card.
        number: the driver's number of it; None for a what-if card.
    """

    name: str
    usable_bytes: int
    free_bytes: int
    what_if: bool
    ram_bytes: int
    bandwidth_bytes_per_second: float | None = None
    decode_efficiency: tuple[float, float, float] | None = None
    fp16_flops: float | None = None
    pcie_bytes_per_second: float | None = None
    vendor: Vendor | None = None
    compute: str | None = None
    host: HostSpeed | None = None
    learnt: Corrections | None = None
    parts: tuple[Card, ...] = ()
    number: int | None = None


class OtherProcess(NamedTuple):
    """A process that holds memory of the card, by name."""

    name: str
    used_bytes: int


class Bill(NamedTuple):
    """Where the bytes go, for exactly one plan.

    Attributes:
        recurrent_gpu_bytes: state of recurrent layers, whatever the context.
        draft_bytes: a draft model or multi-token prediction on the GPU: its weights, cache and
            compute.
        draft_host_bytes: the same in host memory.
        lora_bytes: adapters, on the GPU.
        lora_host_bytes: the same in host memory.
        context_overhead_bytes: CUDA's own context and modules, outside the engine's buffers.
        margin_bytes: kept free; not part of a total.
        other_processes: who else holds memory of the card; already gone from what is free, so
            not part of a total either.
        spread_bytes: how far three of four loads here were from a bill corrected like this one.
        loads: that compute and CUDA's context were corrected by; 1: they are what this very load
            took; 0: nothing here was ever measured for them.
    """

    weights_gpu_bytes: int = 0
    weights_host_bytes: int = 0
    kv_gpu_bytes: int = 0
    kv_host_bytes: int = 0
    recurrent_gpu_bytes: int = 0
    recurrent_host_bytes: int = 0
    compute_gpu_bytes: int = 0
    compute_host_bytes: int = 0
    context_overhead_bytes: int = 0
    margin_bytes: int = 0
    projector_gpu_bytes: int = 0
    projector_host_bytes: int = 0
    draft_bytes: int = 0
    draft_host_bytes: int = 0
    lora_bytes: int = 0
    lora_host_bytes: int = 0
    other_processes: tuple[OtherProcess, ...] = ()
    spread_bytes: int = 0
    loads: int = 0

    @property
    def spread_text(self) -> str:
        """How sure compute and CUDA's context are: ``±40 MiB``; empty without a correction."""
        return f"±{max(1, -(-self.spread_bytes // MIB))} MiB" if self.loads > 1 else ""

    @property
    def learnt(self) -> str:
        """The same and what it rests on: ``±40 MiB from 6 loads here``."""
        return f"{self.spread_text} from {self.loads} loads here" if self.loads > 1 else ""

    @property
    def total_gpu_bytes(self) -> int:
        """Everything on the GPU without the margin."""
        return (
            self.weights_gpu_bytes
            + self.kv_gpu_bytes
            + self.recurrent_gpu_bytes
            + self.compute_gpu_bytes
            + self.context_overhead_bytes
            + self.projector_gpu_bytes
            + self.draft_bytes
            + self.lora_bytes
        )

    @property
    def total_host_bytes(self) -> int:
        """Everything in host memory."""
        own = self.weights_host_bytes + self.kv_host_bytes + self.compute_host_bytes
        beside = self.projector_host_bytes + self.draft_host_bytes + self.lora_host_bytes
        return own + self.recurrent_host_bytes + beside


class CardShare(NamedTuple):
    """What one of several cards takes; the first one's bill has the host's part too.

    Attributes:
        card: that takes it.
        blocks: whole ones; all of those on the GPU where tensors are split.
        bill: on this card.
    """

    card: Card
    blocks: int
    bill: Bill

    @property
    def spare_bytes(self) -> int:
        """What is left beyond the margin; negative: what is missing."""
        return self.card.free_bytes - self.bill.total_gpu_bytes - self.bill.margin_bytes


class Verdict(NamedTuple):
    """Does it fit, how, and how do we know.

    Attributes:
        kind: the answer.
        source: how it was found.
        reason: one sentence for people; always there, so colour is never the only carrier.
        bill: the terms of the plan that the verdict names; of the plan that was asked for when
            nothing fits; None when not judged.
        layers_gpu: blocks on the GPU.
        layers: ``block_count``; 0 when not judged.
        gpu_layers: the same as llama.cpp counts (k blocks and the output layer: ``k + 1``; 0:
            none).
        max_context_tokens: largest context for which the kind stays ``fits`` on this card, capped
            at the trained context; 0 when nothing fits; None when not judged. For a plan that
            names its number of layers: the largest for which those layers still fit.
        decode_tps: predicted decode rate at depth 0 as (low, middle, high); None when not
            derivable.
        cpu_moe_blocks: the first blocks, whose experts are on the CPU.
        rate_note: what was measured here that the rate was corrected by; may be empty.
        proof: what llama.cpp's own dry run says of a bill that is not its own; may be empty.
        shares: of several cards, what each takes; none where one card has it all.
        split: over several cards; None where there is one.
    """

    kind: VerdictKind
    source: VerdictSource
    reason: str
    bill: Bill | None = None
    layers_gpu: int = 0
    layers: int = 0
    gpu_layers: int = 0
    max_context_tokens: int | None = None
    decode_tps: tuple[float, float, float] | None = None
    cpu_moe_blocks: int = 0
    rate_note: str = ""
    proof: str = ""
    shares: tuple[CardShare, ...] = ()
    split: Split | None = None
