"""How a model would be loaded now, on the card that is here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modeldeck.engines.fit.card_group import cards_of
from modeldeck.engines.fit.cards import card_of
from modeldeck.engines.fit.plan import plan_for
from modeldeck.engines.types import Device, LocalModel, Plan

if TYPE_CHECKING:
    from modeldeck.engines.fit.companions import Companions
    from modeldeck.engines.fit.options import FitOptions
    from modeldeck.engines.hardware.types import HardwareSnapshot
    from modeldeck.tui.state import Options


def plan_now(
    model: LocalModel,
    wanted: Options,
    hardware: HardwareSnapshot | None,
    devices: Sequence[Device],
    given: FitOptions | None,
    companions: Companions,
) -> Plan:
    """The plan for the card that is here and the engine's devices.

    Args:
        model: to be loaded.
        wanted: of the list.
        hardware: the machine; None before it was looked at.
        devices: the engine's.
        given: what is kept, the rest being planned around it.
        companions: what is loaded with the model.
    """
    context_tokens, kv_type = wanted
    if model.header is None or hardware is None:
        return Plan(context_tokens=context_tokens, kv_type=kv_type, gpu_layers=0)
    seen = sum(not device.name.startswith("CPU") for device in devices)
    has_gpu = seen > 0 and bool(hardware.runners)
    card = cards_of(hardware)
    if len(card.parts) != seen:
        card = card_of(hardware)  # the engine sees other cards than the driver
    if given is not None and has_gpu:
        from modeldeck.engines.fit.search import answer  # 8 ms

        return answer(
            model.header, given, card, usual_context_tokens=context_tokens, companions=companions
        ).plan
    planned = plan_for(model.header, card, context_tokens, kv_type, has_gpu, companions)
    if given is None:
        return planned
    # It is for the CPU: what is set of layers and experts is about the GPU.
    layers, experts = planned.gpu_layers, planned.cpu_moe_blocks
    return given.over(planned)._replace(gpu_layers=layers, cpu_moe_blocks=experts)
