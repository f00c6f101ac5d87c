"""What loads teach about memory on this box: kept after each, and used for the next verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from modeldeck.engines.store.database import Database, StoreError
from modeldeck.engines.store.memory_loads import Load, MemoryLoads, Place
from modeldeck.engines.store.model_settings import identity_of

if TYPE_CHECKING:
    from modeldeck.engines.buffers import Buffer
    from modeldeck.engines.fit.shape import Shape
    from modeldeck.engines.fit.types import Card, Correction, Corrections, Verdict
    from modeldeck.engines.hardware.types import GpuSnapshot
    from modeldeck.engines.types import LoadedModel, LocalModel, Plan


class Held(NamedTuple):
    """What an engine's process took.

    Attributes:
        buffers: as the engine named them.
        gpus: the cards of this machine.
        by_gpu: bytes that the process holds, by the card's index, as the driver says; empty where
            it does not.
    """

    buffers: tuple[Buffer, ...]
    gpus: tuple[GpuSnapshot, ...]
    by_gpu: Mapping[int, int]


class LearnedMemory:
    """What loads took beside what had been predicted for them."""

    def __init__(self, database: Database) -> None:
        self._loads = MemoryLoads(database)

    def take(self, loaded: LoadedModel, held: Held) -> bool:
        """Keep what a load took; whether it said anything.

        Nothing is learnt of an engine that does not say what it took, of a model without a closed
        form, of several cards at once, or where nobody can tell which card it was.
        """
        from modeldeck.engines.fit.correction import where_of
        from modeldeck.engines.fit.memory_lesson import measured_sizes
        from modeldeck.engines.fit.shape import Shape
        from modeldeck.engines.fit.shaping import shape_of

        header = loaded.model.header
        shape = shape_of(header) if header is not None else None
        where = _where(held)
        if header is None or not isinstance(shape, Shape) or where is None:
            return False
        gpu, process_bytes = where
        measured = measured_sizes(held.buffers, process_bytes)
        if not measured:
            return False
        load = Load(
            Place(gpu, loaded.engine, loaded.engine_build),
            header.architecture,
            where_of(loaded.plan, shape.layers) if gpu else "cpu",
            identity_of(loaded.model),
            plan_text(loaded.plan, shape.layers),
            measured,
            _predicted(shape, loaded),
        )
        try:
            self._loads.keep(load)
        except StoreError:
            return False
        return True

    def lesson(self) -> MemoryLesson | None:
        """Everything that was learnt, to correct many verdicts with; None when nothing was."""
        try:
            loads = self._loads.of_newest_builds()
        except StoreError:
            return None
        return MemoryLesson(loads) if loads else None


class MemoryLesson:
    """Loads on this box by the builds that are here now, made ready to judge thousands of rows."""

    def __init__(self, loads: Sequence[Load]) -> None:
        """Make it of ``loads``, one at least, the latest last."""
        self._engine = loads[-1].place.engine
        self._alike: dict[tuple[str, str], list[Load]] = {}
        self._same: dict[str, list[Load]] = {}
        for load in loads:
            self._alike.setdefault((load.place.engine, load.family), []).append(load)
            self._same.setdefault(load.model, []).append(load)
        self._made: tuple[Card | None, dict[tuple[str, str], Card]] = (None, {})

    def card_for(self, card: Card, architecture: str, engine: str | None = None) -> Card:
        """``card`` with what loads of ``architecture`` in ``engine`` took there beyond the formula.

        Args:
            card: that verdicts are for; of one that is only assumed nothing is known but the CPU's.
            architecture: of the model.
            engine: that would run it; None: the one that loaded last.
        """
        key = (engine or self._engine, architecture)
        if key not in self._alike:
            return card
        of, made = self._made  # several threads judge: each goes on with what it took here
        if of is not card:
            made = {}
            self._made = card, made
        if key not in made:
            learnt = _corrections(self._alike[key], None if card.what_if else card.name)
            made[key] = card._replace(learnt=learnt) if any(learnt) else card
        return made[key]

    def knows(self, model: LocalModel) -> bool:
        """Whether ``model`` was ever loaded here, whatever the options."""
        return identity_of(model) in self._same

    def took(self, loaded: LoadedModel) -> tuple[int, int] | None:
        """Bytes of the card and of the host's memory that a load took; None: nobody measured."""
        layers = len(loaded.model.header.weights.blocks) if loaded.model.header else 0
        same = (loaded.engine, loaded.engine_build, plan_text(loaded.plan, layers))
        for load in self._same.get(identity_of(loaded.model), ()):
            if (load.place.engine, load.place.build, load.plan) == same:
                sizes = load.measured.items()
                host = sum(size for name, size in sizes if name.endswith("_host_bytes"))
                return sum(load.measured.values()) - host, host
        return None

    def measured(
        self, verdict: Verdict, plan: Plan, model: LocalModel, card: Card, engine: str | None = None
    ) -> Verdict:
        """The verdict with what the very same load took here; itself when there was none.

        Args:
            verdict: on ``plan``.
            plan: with its layers as llama.cpp counts them, never ``ALL_LAYERS``.
            model: that it is of.
            card: what is free now.
            engine: that would run it; None: the one that loaded last.
        """
        loads = self._same.get(identity_of(model))
        gpu = card.name if plan.gpu_layers > 0 else ""
        if loads is None or verdict.bill is None or (gpu and card.what_if):
            return verdict
        wanted = (gpu, engine or self._engine, plan_text(plan, verdict.layers))
        for load in loads:
            if (load.place.gpu, load.place.engine, load.plan) == wanted:
                from modeldeck.engines.fit.memory_lesson import measured_bill
                from modeldeck.engines.fit.rebilled import rebilled

                bill = measured_bill(verdict.bill, load.measured)
                return rebilled(verdict, plan, bill, card, "measured")
        return verdict


def plan_text(plan: Plan, layers: int) -> str:
    """The options that decide what a load takes."""
    on_gpu, experts = min(plan.gpu_layers, layers + 1), min(plan.cpu_moe_blocks, layers)
    return (
        f"{plan.context_tokens} {plan.kv_type} {plan.slots} {plan.batch_tokens}"
        f" {plan.micro_batch_tokens} fa{plan.flash_attention:d} {on_gpu} {experts}"
        f" swa{plan.swa_full:d} mmap{plan.mmap:d}{_beside(plan)}"
    )


def _beside(plan: Plan) -> str:
    """The files that are loaded besides; empty without any."""
    draft = f" draft{plan.draft.tokens} {plan.draft.model}" if plan.draft is not None else ""
    return draft + "".join(f" lora {adapter}" for adapter in plan.adapters)


def _where(held: Held) -> tuple[str, int | None] | None:
    """The card that a load went to, empty for none, and what its process holds of it."""
    from modeldeck.engines.buffers import gpu_devices
    from modeldeck.engines.fit.cards import card_from_gpu
    from modeldeck.engines.hardware.types import Mig

    devices = gpu_devices(held.buffers)
    if not devices:
        return "", sum(held.by_gpu.values()) if held.by_gpu else None
    if len(devices) != 1 or devices[0].startswith("RPC"):
        return None
    gpus = [gpu for gpu in held.gpus if gpu.mig is not Mig.PARENT]
    holding = [gpu for gpu in gpus if gpu.number in held.by_gpu] or gpus
    card = card_from_gpu(holding[0], 0) if len(holding) == 1 else None
    return (card.name, held.by_gpu.get(holding[0].number)) if card is not None else None


def _predicted(shape: Shape, loaded: LoadedModel) -> dict[str, int]:
    """The terms of the closed form that loads can correct, for exactly this load."""
    from modeldeck.engines.fit.profiles import LLAMA_SERVER, PROFILES
    from modeldeck.engines.fit.terms import bill
    from modeldeck.engines.fit.token_cost import blocks_of

    plan, profile = loaded.plan, PROFILES.get(loaded.engine, LLAMA_SERVER)
    found = bill(shape, plan, plan.context_tokens, blocks_of(shape, plan), profile=profile)
    return {
        "compute_gpu_bytes": found.compute_gpu_bytes,
        "compute_host_bytes": found.compute_host_bytes,
        "context_overhead_bytes": found.context_overhead_bytes,
    }


def _corrections(alike: Sequence[Load], gpu: str | None) -> Corrections:
    from modeldeck.engines.fit.memory_lesson import LoadSizes, correction_of
    from modeldeck.engines.fit.types import Corrections

    def found(on: str | None, placement: str) -> Correction | None:
        return correction_of(
            [
                LoadSizes(load.measured, load.predicted)
                for load in alike
                if load.place.gpu == on and load.placement == placement
            ]
        )

    return Corrections(found(gpu, "gpu"), found(gpu, "gpu+cpu"), found("", "cpu"))
