"""How a model is to be loaded, changed one step at a time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, get_args

from modeldeck.engines.types import ALL_LAYERS, KvType, ModelHeader, Plan
from modeldeck.engines.units import tokens_text
from modeldeck.tui.state import CONTEXT_STEPS

Value = int | str | bool

_MICRO_BATCHES: Final = (64, 128, 256, 512, 1024, 2048, 4096)
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
}


EVERY_OPTION: Final = frozenset(_LABELS)
"""The names of all options."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """A plan, and which of its fields somebody set; the others are planned when it is loaded."""

    plan: Plan
    given: frozenset[str] = frozenset()

    def with_value(self, name: str, value: Value) -> LoadOptions:
        """The same with one field set."""
        return LoadOptions(_changed(self.plan, name, value), self.given | {name})

    def without(self, name: str) -> LoadOptions:
        """The same with one field planned again."""
        plan = _changed(self.plan, name, _value(Plan(), name))
        return LoadOptions(plan, self.given - {name})

    def onto(self, planned: Plan) -> Plan:
        """``planned`` with everything that was set in its place."""
        for name in self.given:
            planned = _changed(planned, name, _value(self.plan, name))
        return planned


@dataclass(frozen=True, slots=True)
class OptionField:
    """One thing to change.

    Attributes:
        name: of the plan's field.
        label: as the panel calls it.
        steps: what it can be, in order.
        now: what it is.
        text: the same in words.
        given: somebody set it.
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
        else:
            numbers = [value for value in self.steps if isinstance(value, int)]
            below = sum(1 for value in numbers if value < int(self.now))
            at = below + step - (step > 0)
        return self.steps[max(0, min(at, len(self.steps) - 1))]


def option_fields(
    options: LoadOptions, header: ModelHeader, planned_layers: int = 0, planned_experts: int = 0
) -> tuple[OptionField, ...]:
    """The fields that mean something for a model.

    Args:
        options: what is set now.
        header: of the model.
        planned_layers: blocks on the GPU that the verdict found, for a field nobody set.
        planned_experts: blocks with their experts on the CPU that it found.
    """
    return tuple(
        OptionField(
            name,
            _LABELS[name],
            steps,
            _now(options, name, planned_layers, planned_experts, len(header.weights.blocks)),
            _text(options, name, planned_layers, planned_experts, len(header.weights.blocks)),
            name in options.given,
        )
        for name, steps in _steps(header).items()
    )


def _steps(header: ModelHeader) -> dict[str, tuple[Value, ...]]:
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
    return steps


def _now(options: LoadOptions, name: str, layers: int, experts: int, of: int) -> Value:
    value = _value(options.plan, name)
    if name == "gpu_layers" and (name not in options.given or value == ALL_LAYERS):
        return layers + 1 if layers or of == 0 else 0
    if name == "cpu_moe_blocks" and name not in options.given:
        return experts
    return value


def _text(options: LoadOptions, name: str, layers: int, experts: int, of: int) -> str:
    now = _now(options, name, layers, experts, of)
    match name:
        case "context_tokens":
            return tokens_text(int(now))
        case "gpu_layers":
            blocks = max(0, int(now) - 1)
            return "none" if not now else f"all {of}" if blocks >= of else f"{blocks} of {of}"
        case "cpu_moe_blocks":
            return f"{now} of {of}" if now else "none"
        case "flash_attention" | "swa_full":
            return "on" if now else "off"
        case _:
            return str(now)


def _value(plan: Plan, name: str) -> Value:
    values: Mapping[str, Value] = {
        "context_tokens": plan.context_tokens,
        "kv_type": plan.kv_type,
        "gpu_layers": plan.gpu_layers,
        "cpu_moe_blocks": plan.cpu_moe_blocks,
        "micro_batch_tokens": plan.micro_batch_tokens,
        "slots": plan.slots,
        "flash_attention": plan.flash_attention,
        "swa_full": plan.swa_full,
    }
    return values[name]


def _changed(plan: Plan, name: str, value: Value) -> Plan:
    match name, value:
        case "kv_type", str() if kinds := [kind for kind in get_args(KvType) if kind == value]:
            return replace(plan, kv_type=kinds[0])
        case "context_tokens", int():
            return replace(plan, context_tokens=value)
        case "gpu_layers", int():
            return replace(plan, gpu_layers=value)
        case "cpu_moe_blocks", int():
            return replace(plan, cpu_moe_blocks=value)
        case "micro_batch_tokens", int():
            return replace(
                plan, micro_batch_tokens=value, batch_tokens=max(value, Plan().batch_tokens)
            )
        case "slots", int():
            return replace(plan, slots=value)
        case "flash_attention", bool():
            return replace(plan, flash_attention=value)
        case "swa_full", bool():
            return replace(plan, swa_full=value)
        case _:
            raise ValueError(f"{name} cannot be {value!r}")
