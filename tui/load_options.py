"""How a model is to be loaded, changed one step at a time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, get_args

from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.types import KvType, ModelHeader, Plan
from modeldeck.engines.units import tokens_text
from modeldeck.tui.load_beside import (
    NOTHING,
    Offers,
    adapters_of,
    adapters_value,
    draft_of,
    draft_value,
    name_of,
    split_value,
)
from modeldeck.tui.state import CONTEXT_STEPS

Value = int | str | bool

_MICRO_BATCHES: Final = (64, 128, 256, 512, 1024, 2048, 4096)
NO_OFFERS: Final = Offers()
_SLOTS: Final = tuple(range(1, 9))
_LABELS: Final[Mapping[str, str]] = {
    "context_tokens": "context",
    "kv_type": "kv cache",
    "gpu_layers": "layers on GPU",
    "cpu_moe_blocks": "experts on CPU",
    "micro_batch_tokens": "micro-batch",
    "slots": "slots",
    "flash_attention": "flash attention",
    "swa_full": "full window",
    "draft": "draft",
    "adapters": "adapter",
    "split": "cards",
}


@dataclass(frozen=True, slots=True)
class OptionField:
    """One thing to change.

    Attributes:
        name: of the option.
        label: as the panel calls it.
        steps: what it can be, in order.
        now: what it is.
        text: the same in words.
        given: somebody set it; else it is planned.
    """

    name: str
    label: str
    steps: tuple[Value, ...]
    now: Value
    text: str
    given: bool

    def moved(self, step: int) -> Value:
        """The value ``step`` steps further; it stops at both ends."""
        if self.now in self.steps:
            at = self.steps.index(self.now) + step
        elif isinstance(self.now, str):
            at = 0  # a file that is not offered any more
        else:
            numbers = [value for value in self.steps if isinstance(value, int)]
            below = sum(1 for value in numbers if value < int(self.now))
            at = below + step - (step > 0)
        return self.steps[max(0, min(at, len(self.steps) - 1))]


def option_fields(
    options: FitOptions, plan: Plan, header: ModelHeader, offers: Offers = NO_OFFERS
) -> tuple[OptionField, ...]:
    """The options that mean something for a model.

    Args:
        options: what was set.
        plan: what comes of it, everything else planned.
        header: of the model.
        offers: what may be loaded beside it.
    """
    layers = len(header.weights.blocks)
    return tuple(
        OptionField(
            name,
            _LABELS[name],
            steps,
            _value(plan, name, layers, offers),
            _text(plan, name, layers, offers),
            getattr(options, name) not in (None, ()),
        )
        for name, steps in _steps(header, offers).items()
    )


def with_value(
    options: FitOptions, name: str, value: Value | None, offers: Offers = NO_OFFERS
) -> FitOptions:
    """The same with one option set; None: planned again.

    Raises:
        ValueError: the option cannot be that.
    """
    match name, value:
        case "kv_type", str() if kinds := [kind for kind in get_args(KvType) if kind == value]:
            return replace(options, kv_type=kinds[0])
        case "kv_type", None:
            return replace(options, kv_type=None)
        case "flash_attention", bool() | None:
            return replace(options, flash_attention=value)
        case "swa_full", bool() | None:
            return replace(options, swa_full=value)
        case "context_tokens", int() | None:
            return replace(options, context_tokens=value)
        case "gpu_layers", int() | None:
            return replace(options, gpu_layers=value)
        case "cpu_moe_blocks", int() | None:
            return replace(options, cpu_moe_blocks=value)
        case "micro_batch_tokens", int() | None:
            return replace(options, micro_batch_tokens=value)
        case "slots", int() | None:
            return replace(options, slots=value)
        case "split", str() | None:
            return replace(options, split=dict(offers.splits).get(value or ""))
        case "draft", str() | None:
            return replace(options, draft=draft_of(value or NOTHING))
        case "adapters", str() | None:
            return replace(options, adapters=adapters_of(value or NOTHING, offers))
        case _:
            raise ValueError(f"{name} cannot be {value!r}")


def _steps(header: ModelHeader, offers: Offers) -> dict[str, tuple[Value, ...]]:
    layers = len(header.weights.blocks)
    trained = header.context_length
    contexts = [step for step in CONTEXT_STEPS if not trained or step < trained]
    steps: dict[str, tuple[Value, ...]] = {
        "context_tokens": (*contexts, trained) if trained else tuple(contexts),
        "kv_type": get_args(KvType),
        "gpu_layers": tuple(range(layers + 2)),
    }
    if any(block.expert_bytes for block in header.weights.blocks):
        steps["cpu_moe_blocks"] = tuple(range(layers + 1))
    steps["micro_batch_tokens"] = _MICRO_BATCHES
    steps["slots"] = _SLOTS
    steps["flash_attention"] = (False, True)
    if header.hparams.get(f"{header.architecture}.attention.sliding_window"):
        steps["swa_full"] = (False, True)
    if len(offers.draft_steps) > 1:
        steps["draft"] = offers.draft_steps
    if len(offers.adapter_steps) > 1:
        steps["adapters"] = offers.adapter_steps
    if offers.splits:
        steps["split"] = tuple(name for name, _ in offers.splits)
    return steps


def _value(plan: Plan, name: str, layers: int, offers: Offers) -> Value:
    values: Mapping[str, Value] = {
        "context_tokens": plan.context_tokens,
        "kv_type": plan.kv_type,
        "gpu_layers": min(plan.gpu_layers, layers + 1),
        "cpu_moe_blocks": plan.cpu_moe_blocks,
        "micro_batch_tokens": plan.micro_batch_tokens,
        "slots": plan.slots,
        "flash_attention": plan.flash_attention,
        "swa_full": plan.swa_full,
        "draft": draft_value(plan.draft),
        "adapters": adapters_value(plan.adapters),
        "split": split_value(plan.split, offers),
    }
    return values[name]


def _text(plan: Plan, name: str, layers: int, offers: Offers) -> str:
    now = _value(plan, name, layers, offers)
    match name:
        case "context_tokens":
            return tokens_text(int(now))
        case "gpu_layers":
            blocks = max(0, int(now) - 1)
            some = f"all {layers}" if blocks >= layers else f"{blocks} of {layers}"
            return some if now else "none"
        case "cpu_moe_blocks":
            return f"{now} of {layers}" if now else "none"
        case "flash_attention" | "swa_full":
            return "on" if now else "off"
        case "draft" | "adapters":
            return name_of(str(now))
        case _:
            return str(now)
