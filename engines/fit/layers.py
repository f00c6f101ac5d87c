"""What each block of a model keeps for every token and for every sequence.

Sources: llama.cpp ``llama-hparams.cpp`` (sizes), ``llama-model.cpp`` (``create_memory``: which
blocks), ``llama-kv-cache*.cpp`` and ``llama-memory-recurrent.cpp`` (what is allocated).
"""

from __future__ import annotations

from typing import NamedTuple

from modeldeck.engines.fit.architectures import Architecture, Window
from modeldeck.engines.fit.hparams import Gap, HParams


class Layers(NamedTuple):
    """One entry for each block, in the model's order.

    Attributes:
        trunk: blocks that are not multi-token prediction; only they have anything here.
        heads: attention heads.
        kv_heads: heads of K and V.
        cached: it has a place in the cache, though maybe an empty one.
        keys: elements of K for a token, the indexer's with them.
        values: elements of V for a token.
        key_length: elements of K in one head.
        value_length: elements of V in one head.
        sliding: it caches a window, not the context.
        window_tokens: 0 when no block slides.
        states: elements of recurrent state for a sequence, always four bytes each.
        latent: K and V are one compressed row.
        indexed: it has an indexer.
    """

    trunk: int
    heads: tuple[int, ...]
    kv_heads: tuple[int, ...]
    cached: tuple[bool, ...]
    keys: tuple[int, ...]
    values: tuple[int, ...]
    key_length: tuple[int, ...]
    value_length: tuple[int, ...]
    sliding: tuple[bool, ...]
    window_tokens: int
    states: tuple[int, ...]
    latent: bool
    indexed: tuple[bool, ...]


def layers_of(facts: Architecture, keys: HParams, embedding: int) -> Layers:
    """Every block's share of the caches.

    Raises:
        Gap: the header lacks something or makes no sense.
    """
    count = keys.layers
    trunk = max(count - keys.count("nextn_predict_layers"), 0)
    if not trunk:
        raise Gap("it has no blocks beside those that predict ahead")
    stateful = facts.recurrent == "all"
    heads = keys.per_layer("attention.head_count", (0,) * count if stateful else None)
    kv_heads = keys.per_layer("attention.head_count_kv", heads)
    if not stateful and max(heads) < 1:
        raise Gap("no block has attention heads")
    head_size = embedding // (heads[0] or max(heads)) if max(heads) else 0
    window, sliding = _sliding(facts.window, keys, trunk)
    full = (
        keys.number("attention.key_length", head_size),
        keys.number("attention.value_length", head_size),
    )
    slid = (
        keys.number("attention.key_length_swa", full[0]),
        keys.number("attention.value_length_swa", full[1]),
    )
    lengths = tuple(slid if slides else full for slides in sliding)
    latent = facts.latent and bool(
        keys.count("attention.key_length_mla") and keys.count("attention.value_length_mla")
    )
    recurrent, attention = _kinds(facts, keys, kv_heads, trunk)
    if facts.shared_kv > 0:
        own = facts.shared_kv
    elif facts.shared_kv < 0:
        own = count - keys.count("attention.shared_kv_layers")
    else:
        own = count
    cached = [facts.cached and attends and at < own for at, attends in enumerate(attention)]
    each = list(zip(kv_heads, lengths, cached, strict=True))
    k = [heads * length * keeps for heads, (length, _), keeps in each]
    v = [0 if latent else heads * length * keeps for heads, (_, length), keeps in each]
    indexed = _indexed(facts, keys, attention, sliding, latent, lengths)
    for at, extra in indexed.items():
        k[at] += extra
    state = _state(facts, keys, heads, embedding)
    return Layers(
        trunk=trunk,
        heads=heads,
        kv_heads=kv_heads,
        cached=tuple(cached),
        keys=tuple(k),
        values=tuple(v),
        key_length=tuple(key for key, _ in lengths),
        value_length=tuple(value for _, value in lengths),
        sliding=sliding,
        window_tokens=window if any(sliding) else 0,
        states=tuple(state * kept for kept in recurrent) if state else (0,) * count,
        latent=latent,
        indexed=tuple(at in indexed for at in range(count)) if indexed else (False,) * count,
    )


def _sliding(window: Window | None, keys: HParams, trunk: int) -> tuple[int, tuple[bool, ...]]:
    """The window, and which blocks slide it (``set_swa_pattern``, ``load_swa_pattern``)."""
    none = (False,) * keys.layers
    if window is None or (window.blocks and trunk != window.blocks):
        return 0, none
    named = keys.count("attention.sliding_window")
    zero = keys.get("attention.sliding_window") == 0
    if not named and (window.needs_key or zero):
        return 0, none
    tokens = window.tokens if window.fixed else named or window.tokens
    if window.pattern == 0:
        return tokens, tuple(at < trunk for at in range(keys.layers))
    value = keys.get("attention.sliding_window_pattern")
    if isinstance(value, tuple):
        marks = value + (0,) * (keys.layers - len(value))
        return tokens, tuple(bool(mark) and at < trunk for at, mark in enumerate(marks))[
            : keys.layers
        ]
    pattern = keys.count("attention.sliding_window_pattern", window.pattern or 0)
    if window.pattern is None and not pattern:
        raise Gap("the header has no attention.sliding_window_pattern")
    return tokens, tuple(at < trunk and _slides(at, pattern, window) for at in range(keys.layers))


def _slides(at: int, pattern: int, window: Window) -> bool:
    if not pattern:
        return True
    return at % pattern != 0 if window.dense_first else at % pattern < pattern - 1


def _kinds(
    facts: Architecture, keys: HParams, kv_heads: tuple[int, ...], trunk: int
) -> tuple[list[bool], list[bool]]:
    """Which blocks keep a state, and which attend."""
    inside = [at < trunk for at in range(keys.layers)]
    rule = facts.recurrent
    if rule is None:
        return [False] * keys.layers, inside
    if rule == "both":
        return inside, inside
    if rule == "all":
        return inside, [False] * keys.layers
    if rule == "interval":
        marks = keys.get("attention.recurrent_layers")
        if marks is not None:
            recurrent = [bool(mark) for mark in keys.per_layer("attention.recurrent_layers")]
        else:
            every = keys.number("full_attention_interval", facts.attention_interval)
            recurrent = [(at + 1) % every != 0 for at in range(keys.layers)]
    else:
        recurrent = [heads == 0 for heads in kv_heads]
    attention = [not state for state in recurrent]
    if rule == "no-kv-heads-nor-ff":
        widths = keys.per_layer("feed_forward_length")
        recurrent = [state and not widths[at] for at, state in enumerate(recurrent)]
        attention = [attends and not widths[at] for at, attends in enumerate(attention)]
    return (
        [state and ok for state, ok in zip(recurrent, inside, strict=True)],
        [attends and ok for attends, ok in zip(attention, inside, strict=True)],
    )


def _indexed(
    facts: Architecture,
    keys: HParams,
    attention: list[bool],
    sliding: tuple[bool, ...],
    latent: bool,
    lengths: tuple[tuple[int, int], ...],
) -> dict[int, int]:
    """Blocks with an indexer, and the elements it caches for a token in each."""
    rule = facts.indexer
    if rule is None or (keys.architecture == "hy_v4" and not keys.count("attention.indexer.top_k")):
        return {}
    size = keys.count("attention.indexer.key_length")
    chosen = [attends and not slides for attends, slides in zip(attention, sliding, strict=True)]
    if rule == "after-dense":
        first = keys.count("leading_dense_block_count")
        chosen = [at >= first and attends for at, attends in enumerate(chosen)]
    elif rule in {"types", "attention-blocks"}:
        types = keys.get("attention.indexer.types")
        if isinstance(types, tuple):
            chosen = [
                attends and at < len(types) and bool(types[at]) for at, attends in enumerate(chosen)
            ]
        elif (
            rule == "types" and keys.values.get(f"{keys.architecture}.context_length", 0) == 1 << 20
        ):
            raise Gap("which blocks have an indexer needs the dry run")
    # Keys, gates and pooled values, where the keys are pooled; V too, where V is cached at all.
    size *= 3 if rule == "attention-blocks" and keys.count("attention.indexer.kpool") else 1
    return {at: size + (0 if latent else lengths[at][1]) for at, has in enumerate(chosen) if has}


def _state(facts: Architecture, keys: HParams, heads: tuple[int, ...], embedding: int) -> int:
    """Elements of one block's state (``n_embd_r`` and ``n_embd_s``)."""
    if facts.recurrent is None:
        return 0
    heads_first = max(heads[0], 1)
    convolution = max(keys.count("ssm.conv_kernel") - 1, 0)
    if facts.state == "rwkv":
        return embedding * (keys.count("token_shift_count", 2) + keys.number("wkv.head_size"))
    if facts.state == "convolution":
        return embedding * (keys.number("shortconv.l_cache") - 1)
    if facts.state == "delta":
        size = keys.number("kda.head_dim")
        return heads_first * size * (3 * (convolution or 3) + size)
    if facts.state == "lightning":
        size = keys.number("attention.key_length", embedding // heads_first)
        return heads_first * size * size
    inner, width = keys.number("ssm.inner_size"), keys.number("ssm.state_size")
    return convolution * (inner + 2 * keys.count("ssm.group_count") * width) + width * inner
