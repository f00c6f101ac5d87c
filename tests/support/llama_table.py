"""Holds the bill of a made-up model against what llama.cpp allocates for it on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from modeldeck.engines.fit.profiles import EngineProfile
from modeldeck.engines.fit.shape import Unjudged
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.terms import bill
from modeldeck.engines.formats.gguf import TensorInfo
from modeldeck.engines.formats.header import weight_table
from modeldeck.engines.types import HParam, KvType, ModelHeader, Plan
from tests.support.llama_lab import Answer, Asked, Key

MIB = 1 << 20
KV_TYPES: dict[str, KvType] = {kv: kv for kv in get_args(KvType)}
"""By name."""
_SINGLE = EngineProfile("one cache for all slots")
_SEPARATE = EngineProfile("a cache for each slot", unified=False)
_PRINTED_MIB = 0.006
"""Sizes are printed with two digits after the point."""


def header_from(keys: Mapping[str, Key], answer: Answer) -> ModelHeader:
    """The header that a file with these keys and tensors would have."""
    name = str(keys["general.architecture"])
    hparams: dict[str, HParam] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in keys.items()
    }
    unique = {tensor[0]: tensor for tensor in answer.tensors}
    tensors = [
        TensorInfo(name=tensor, shape=shape, ggml_type=kind, offset=0, size_bytes=size)
        for tensor, size, kind, shape in unique.values()
    ]
    return ModelHeader(
        architecture=name,
        name="",
        parameters=0,
        quantisation="F32",
        context_length=131072,
        vocabulary_size=int(str(keys[f"{name}.vocab_size"])),
        has_chat_template=False,
        hparams=hparams,
        weights=weight_table(tensors),
        tensor_count=len(tensors),
    )


def differences(keys: Mapping[str, Key], contexts: list[Asked], answer: Answer) -> list[str]:
    """What the bill has otherwise than llama.cpp; empty when it holds.

    Weights and caches must be as printed; compute within 5 % or 32 MiB, whichever is larger.
    """
    name = str(keys["general.architecture"])
    if not answer.tensors or len(answer.buffers) != len(contexts):
        return [f"{name}: llama.cpp could not build it: {answer.log[:300]}"]
    shape = shape_of(header_from(keys, answer))
    if isinstance(shape, Unjudged):
        return [f"{name}: {shape.why}"]
    # Without a file a table that serves twice is made twice; from a file it is not.
    unique = {tensor[0]: tensor[1] for tensor in answer.tensors}
    twice = sum(tensor[1] for tensor in answer.tensors) - sum(unique.values())
    # Each tensor begins at a multiple of 32 bytes.
    aligned = 32 * len(answer.tensors) / MIB
    found: list[str] = []
    for asked, printed in zip(contexts, answer.buffers, strict=True):
        if printed is None:
            if shape.flash_attention and asked.flash_attention:
                found.append(f"{name}: no context for {asked}: {answer.log[-200:]}")
            continue
        plan = Plan(
            context_tokens=asked.context_tokens,
            kv_type=KV_TYPES[asked.kv_type],
            slots=asked.slots,
            micro_batch_tokens=asked.micro_batch_tokens,
            flash_attention=asked.flash_attention,
            gpu_layers=0,
            swa_full=asked.swa_full,
        )
        profile = _SINGLE if asked.unified else _SEPARATE
        terms = bill(shape, plan, asked.context_tokens, None, profile=profile)
        compute = printed.get("compute", 0.0) + printed.get("output", 0.0)
        rows = [
            ("weights", terms.weights_host_bytes + twice, printed["model"], _PRINTED_MIB + aligned),
            ("KV", terms.kv_host_bytes, printed.get("KV", 0.0), _exact(printed.get("KV", 0.0))),
            (
                "state",
                terms.recurrent_host_bytes,
                printed.get("RS", 0.0),
                _exact(printed.get("RS", 0.0)),
            ),
            ("compute", terms.compute_host_bytes, compute, max(32.0, 0.05 * compute)),
        ]
        found.extend(
            f"{name}: {term} {billed / MIB:.2f} MiB, it says {mib:.2f} ({asked})"
            for term, billed, mib, tolerance in rows
            if abs(billed / MIB - mib) > tolerance
        )
    return found


def _exact(mib: float) -> float:
    """A thousandth, or the last digit printed (thrice: windows and indexers have own lines)."""
    return max(0.001 * mib, 3 * _PRINTED_MIB)
