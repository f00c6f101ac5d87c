"""How a model is to be loaded, changed one step at a time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, get_args

from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.types import KvType, ModelHeader, Plan
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
        else:
            numbers = [value for value in self.steps if isinstance(value, int)]
            below = sum(1 for value in numbers if value < int(self.now))
            at = below + step - (step > 0)
        return self.steps[max(0, min(at, len(self.steps) - 1))]


def option_fields(options: FitOptions, plan: Plan, header: ModelHeader) -> tuple[OptionField, ...]:
    """The options that mean something for a model.

    Args:
        options: what was set.
        plan: what comes of it, everything else planned.
        header: of the model.
    """
    layers = len(header.weights.blocks)
    return tuple(
        OptionField(
            name,
            _LABELS[name],
            steps,
            _value(plan, name, layers),
            _text(plan, name, layers),
            getattr(options, name) is not None,
        )
        for name, steps in _steps(header).items()
    )


def with_value(options: FitOptions, name: str, value: Value | None) -> FitOptions:
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
        case _:
            raise ValueError(f"{name} cannot be {value!r}")


def given_by(plan: Plan) -> FitOptions:
    """Options that leave nothing of ``plan`` to be planned."""
    return FitOptions(
        context_tokens=plan.context_tokens,
        kv_type=plan.kv_type,
        micro_batch_tokens=plan.micro_batch_tokens,
        slots=plan.slots,
        gpu_layers=plan.gpu_layers,
        cpu_moe_blocks=plan.cpu_moe_blocks,
        flash_attention=plan.flash_attention,
        swa_full=plan.swa_full,
    )


def for_the_cpu(planned: Plan, options: FitOptions) -> Plan:
    """``planned``, which is for the CPU, with what was set, as far as it is not about the GPU."""
    micro_batch_tokens = options.micro_batch_tokens or planned.micro_batch_tokens
    return planned._replace(
        context_tokens=options.context_tokens or planned.context_tokens,
        kv_type=options.kv_type or planned.kv_type,
        micro_batch_tokens=micro_batch_tokens,
        batch_tokens=max(micro_batch_tokens, planned.batch_tokens),
        slots=options.slots or planned.slots,
        flash_attention=(
            planned.flash_attention if options.flash_attention is None else options.flash_attention
        ),
        swa_full=planned.swa_full if options.swa_full is None else options.swa_full,
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


def _value(plan: Plan, name: str, layers: int) -> Value:
    values: Mapping[str, Value] = {
        "context_tokens": plan.context_tokens,
        "kv_type": plan.kv_type,
        "gpu_layers": min(plan.gpu_layers, layers + 1),
        "cpu_moe_blocks": plan.cpu_moe_blocks,
        "micro_batch_tokens": plan.micro_batch_tokens,
        "slots": plan.slots,
        "flash_attention": plan.flash_attention,
        "swa_full": plan.swa_full,
    }
    return values[name]


def _text(plan: Plan, name: str, layers: int) -> str:
    now = _value(plan, name, layers)
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
        case _:
            return str(now)
