"""Headers of published models from facts: what a file's header would say, without the file."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import cast

from modeldeck.engines.types import BlockWeights, HParam, ModelHeader, WeightTable

_GIB = 1 << 30


@cache
def _facts() -> dict[str, dict[str, object]]:
    text = Path(__file__).with_name("models.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _file(facts: dict[str, object], file: str) -> dict[str, float]:
    files = cast("dict[str, dict[str, float]]", facts["files"])
    return files[file]


def known_models() -> tuple[str, ...]:
    """Names in the table."""
    return tuple(_facts())


def header(model: str, file: str) -> ModelHeader:
    """The header of one file of a model.

    Raises:
        KeyError: no such model or file is in the table.
    """
    facts = _facts()[model]
    architecture = str(facts["architecture"])
    size = _file(facts, file)
    layers, embedding = _number(facts, "layers"), _number(facts, "embedding")
    vocabulary, tied = _number(facts, "vocabulary"), bool(facts.get("tied"))
    table = vocabulary * embedding
    embedded = round(table * size["embd"] / 8)
    output = 0 if tied else round(table * size["out"] / 8)
    per_layer = _number(facts, "layer_input") * layers
    beside = round(vocabulary * per_layer * size.get("layer_inputs", 0) / 8)
    if "block" in size:
        blocks_bytes = _blocks_bytes(facts, size)
    else:
        blocks_bytes = round(size["gib"] * _GIB) - embedded - output - beside
    # One vector of norms, as f32.
    output += 4 * embedding
    routed = 3 * embedding * _number(facts, "expert_feed_forward") * _number(facts, "experts")
    expert_bytes = round(routed * size.get("experts", 0) / 8)
    dense_bytes = blocks_bytes // layers - expert_bytes
    assert dense_bytes > 0, (model, file)
    return ModelHeader(
        architecture=architecture,
        name=model,
        parameters=round(float(str(facts["billion"])) * 1e9),
        quantisation=file,
        context_length=_number(facts, "context"),
        vocabulary_size=vocabulary,
        has_chat_template=True,
        hparams={f"{architecture}.{key}": value for key, value in _hparams(facts).items()},
        weights=WeightTable(
            tuple(BlockWeights(at, dense_bytes, expert_bytes, 0) for at in range(layers)),
            embedded,
            beside,
            output,
            tied,
            0,
            largest_expert_bytes=round(routed / 3 * size.get("down", 0) / 8),
        ),
        tensor_count=1,
    )


_KEYS = {
    "layers": "block_count",
    "embedding": "embedding_length",
    "feed_forward": "feed_forward_length",
    "heads": "attention.head_count",
    "kv_heads": "attention.head_count_kv",
    "window": "attention.sliding_window",
    "experts": "expert_count",
    "experts_used": "expert_used_count",
    "expert_feed_forward": "expert_feed_forward_length",
    "attention_interval": "full_attention_interval",
    "ssm_inner": "ssm.inner_size",
    "ssm_state": "ssm.state_size",
    "ssm_groups": "ssm.group_count",
    "shared": "attention.shared_kv_layers",
    "layer_input": "embedding_length_per_layer_input",
    "convolution": "shortconv.l_cache",
}


_EACH = {
    "kv_heads_each": "attention.head_count_kv",
    "slides": "attention.sliding_window_pattern",
}


def _each(facts: dict[str, object], name: str) -> tuple[int, ...]:
    """One number for each block; what is given is said again and again."""
    given = cast("list[int]", facts[name])
    layers = _number(facts, "layers")
    return tuple(given[at % len(given)] for at in range(layers))


def _hparams(facts: dict[str, object]) -> dict[str, HParam]:
    found: dict[str, HParam] = {
        key: _number(facts, name) for name, key in _KEYS.items() if name in facts
    }
    found["attention.key_length"] = found["attention.value_length"] = _number(facts, "head")
    if "head_swa" in facts:
        size = _number(facts, "head_swa")
        found["attention.key_length_swa"] = found["attention.value_length_swa"] = size
    for name, key in _EACH.items():
        if name in facts:
            found[key] = _each(facts, name)
    if "ssm_inner" in facts:
        found["ssm.conv_kernel"] = 4
    return found


def _blocks_bytes(facts: dict[str, object], size: dict[str, float]) -> int:
    """Of dense blocks, tensor by tensor."""
    layers, width = _number(facts, "layers"), _number(facts, "embedding")
    query = _number(facts, "heads") * _number(facts, "head")
    key = _number(facts, "kv_heads") * _number(facts, "head")
    wide = _number(facts, "feed_forward")
    matrices = 2 * width * (query + key) + 3 * width * wide
    better = size.get("more", 0) * width * (key + wide) * (6.5625 - size["block"])
    return round((layers * matrices * size["block"] + better) / 8) + layers * 2 * 4 * width


def _number(facts: dict[str, object], name: str) -> int:
    value = facts.get(name, 0)
    assert isinstance(value, int)
    return value
