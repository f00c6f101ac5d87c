"""What is special about each architecture's memory: a table, by llama.cpp's names.

Names are those of ``llama-arch.cpp``; which blocks slide a window, compress their cache or keep a
recurrent state is in ``llama-model.cpp`` (``create_memory``) and in ``models/`` (``load_hparams``).
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

RecurrentRule = Literal["all", "both", "no-kv-heads", "no-kv-heads-nor-ff", "interval"]
"""Which blocks keep a recurrent state: all, all beside their cache, those without K and V heads,
those that have no feed-forward network either, or those ``recurrent_layers`` names (else all but
every n-th)."""

StateRule = Literal["mamba", "rwkv", "delta", "convolution", "lightning"]
"""What a recurrent state is made of (``n_embd_r``, ``n_embd_s``)."""

IndexerRule = Literal["all", "after-dense", "types", "attention-blocks"]
"""Which blocks cache the keys of a sparse-attention indexer too."""


class Window(NamedTuple):
    """Sliding-window attention.

    Attributes:
        pattern: every n-th block has full attention; 0 means all slide; None means that the file
            must have an array of them.
        dense_first: the block with full attention comes first of each n, not last.
        tokens: the window when the file has no ``attention.sliding_window``.
        fixed: it is that, whatever the file says.
        needs_key: without ``attention.sliding_window`` in the file no block slides.
        blocks: slides only with that many blocks; 0 for any.
    """

    pattern: int | None
    dense_first: bool = False
    tokens: int = 0
    fixed: bool = False
    needs_key: bool = True
    blocks: int = 0


class Graph(NamedTuple):
    """What is alive in the widest part of a graph, found by llama.cpp's own dry run.

    Attributes:
        widths: more streams as wide as the model.
        network_widths: the same beside a feed-forward network alone.
        streams: of a part of the graph that mixes streams, in widths of the model.
        networks: feed-forward networks that run side by side; half when they are half as wide as
            the file says.
        layer_inputs: inputs of a block of its own, when the file does not say.
        input_copies: of those inputs, alive at once.
        crossing: more streams as wide as the model that go on from card to card.
        network_queries: attention's output is alive beside a feed-forward network (1 or 0).
        queries: what is as wide as the queries beside attention.
        state_widths: of a recurrent block, in widths of the model.
        state_inner: of a recurrent block, in widths of its inner state.
        scores: of an indexer, 32-bit numbers per token and cell; two and a half times that without
            flash attention.
        head_scores: with flash attention and one slot, the same for each of its heads, and one
            more.
        indexer_widths: queries of an indexer that are alive with it.
        indexer_made: the same before there are scores.
        parallel: attention and the feed-forward network run side by side.
        latent_experts: key with the width that experts compute in, when it is not the model's.
        positions: it has a table of learnt positions.
        every_output: logits are made for every token of a micro-batch.
    """

    widths: int = 0
    network_widths: int = 0
    streams: int = 0
    networks: float = 1.0
    layer_inputs: int = 0
    input_copies: int = 1
    crossing: int = 0
    network_queries: int = 1
    queries: int = 2
    state_widths: int = 3
    state_inner: int = 5
    scores: float = 0.0
    head_scores: int = 0
    indexer_widths: int = 0
    indexer_made: int = 0
    parallel: bool = False
    latent_experts: str = ""
    positions: bool = False
    every_output: bool = False


class Architecture(NamedTuple):
    """How the memory of one architecture differs from a plain dense decoder's.

    Attributes:
        cached: it keeps a key and value cache.
        reads_cache: it attends to what is cached, not to the batch alone.
        window: its sliding window; None for full attention everywhere.
        recurrent: which blocks keep a recurrent state; None for none.
        state: what that is made of.
        attention_interval: every n-th block is attention, when the file does not say.
        latent: with ``key_length_mla`` and ``value_length_mla`` it caches K alone.
        indexer: which blocks cache indexer keys.
        shared_kv: blocks without a cache of their own: 20 is all after the first 20, -1 as many of
            the last as ``attention.shared_kv_layers`` says; 0 is none.
        fused_gate: gate and up projection are one matrix of twice the width.
        gated: its feed-forward networks have a gate.
        flash_attention: it has it; else attention scores are always kept.
        dense_wide: its experts are as wide as ``feed_forward_length`` says.
        graph: what its graph keeps beside what all do.
        rolls_back: drafted tokens can be taken back out of its recurrent state.
        has_output: it ends in an output layer on the GPU; tied when that has no weights of its own.
    """

    cached: bool = True
    reads_cache: bool = True
    window: Window | None = None
    recurrent: RecurrentRule | None = None
    state: StateRule = "mamba"
    attention_interval: int = 4
    latent: bool = False
    indexer: IndexerRule | None = None
    shared_kv: int = 0
    fused_gate: bool = False
    gated: bool = True
    flash_attention: bool = True
    dense_wide: bool = False
    graph: Graph = Graph()
    rolls_back: bool = False
    has_output: bool = True


_PLAIN: Final = """
    baichuan bailingmoe bailingmoe2 chameleon deci deepseek deepseek2-ocr
    dots1 ernie4_5 ernie4_5-moe exaone gemma glm4moe granite grovemoe hrm_text hunyuan-dense
    hunyuan_vl hy_v3 internlm2 llama maincoder minicpm minicpm3 mistral3 nanbeige
    olmo openelm orion paddleocr pangu-embedded plm qwen2 qwen2moe qwen2vl qwen3 qwen3moe
    qwen3tts qwen3vl qwen3vlmoe refact seed_oss smollm3 stablelm xverse
    """

_UNGATED: Final = """
    apertus arcee codeshell gptneox jais2 nemotron pockettts starcoder2
    """

_DENSE_WIDE: Final = "dbrx granitemoe hunyuan-moe minimax-m2 olmoe phimoe"

_UNCACHED: Final = """
    eurobert gemma-embedding jina-bert-v2 modern-bert neo-bert nomic-bert
    """
_UNCACHED_UNGATED: Final = "bert jina-bert-v3 nomic-bert-moe"

_DIFFUSION: Final = "dream llada llada-moe rnd1"

_MARKED: Final = Window(pattern=None)
_FUSED: Final = Graph(queries=4)
_HYPER: Final = Graph(widths=4, scores=1.0, indexer_widths=3, indexer_made=3)
_SPARSE: Final = Graph(scores=1.0, indexer_widths=2, indexer_made=3)
_SPECIAL: Final = {
    # Its logits are made with the table of tokens where that is: on the host.
    "bitnet": Architecture(has_output=False),
    "chatglm glm4 phi3": Architecture(fused_gate=True),
    "grok": Architecture(flash_attention=False, dense_wide=True),
    "qwen": Architecture(graph=Graph(networks=0.5, network_queries=0)),
    "jais": Architecture(graph=_FUSED),
    "phi2": Architecture(gated=False, graph=Graph(network_widths=1)),
    "falcon": Architecture(gated=False, graph=Graph(parallel=True)),
    "command-r plamo": Architecture(graph=Graph(parallel=True)),
    "bloom": Architecture(gated=False, graph=_FUSED),
    "gpt2 mpt": Architecture(gated=False, graph=Graph(queries=4, positions=True)),
    "starcoder": Architecture(gated=False, graph=Graph(positions=True)),
    "arctic": Architecture(dense_wide=True, graph=Graph(parallel=True)),
    "llama-embed": Architecture(reads_cache=False),
    "cogvlm": Architecture(graph=Graph(every_output=True)),
    "talkie": Architecture(graph=Graph(widths=1, crossing=1)),
    "gemma2": Architecture(window=Window(2, tokens=4096, needs_key=False)),
    "gemma3": Architecture(window=Window(6)),
    "gemma3n": Architecture(
        window=Window(5),
        shared_kv=20,
        graph=Graph(widths=3, networks=4 / 3, streams=18, layer_inputs=256),
    ),
    "gemma4": Architecture(
        window=_MARKED,
        shared_kv=-1,
        graph=Graph(widths=1, network_queries=0, input_copies=2),
    ),
    "gpt-oss": Architecture(window=Window(2)),
    "olmo2 afmoe mellum muse-glimmer": Architecture(window=Window(4)),
    "cohere2": Architecture(window=Window(4), graph=Graph(parallel=True)),
    "cohere2moe": Architecture(window=Window(4, dense_first=True), graph=Graph(parallel=True)),
    "laguna": Architecture(window=Window(4, dense_first=True)),
    "smallthinker": Architecture(window=Window(4, dense_first=True, tokens=4096, fixed=True)),
    "exaone4": Architecture(window=Window(4, tokens=4096, needs_key=False, blocks=64)),
    "exaone-moe": Architecture(window=Window(4, tokens=128, needs_key=False)),
    "llama4": Architecture(window=Window(4, tokens=8192, fixed=True, needs_key=False)),
    "plamo3": Architecture(window=Window(8)),
    "granite_swa mimo2 step35 maple spark2_5": Architecture(window=_MARKED),
    "deepseek2 mistral4": Architecture(latent=True),
    "deepseek32": Architecture(latent=True, indexer="all", graph=_SPARSE),
    "glm-dsa": Architecture(latent=True, indexer="types", graph=_SPARSE),
    "hy_v4": Architecture(latent=True, indexer="types", graph=_HYPER),
    "dots3note": Architecture(
        latent=True,
        indexer="types",
        window=_MARKED,
        graph=Graph(scores=1.0, indexer_widths=2, indexer_made=2),
    ),
    "minimax-m3": Architecture(indexer="after-dense", graph=Graph(head_scores=2, queries=1)),
    "mamba mamba2": Architecture(cached=False, recurrent="all"),
    "rwkv6 rwkv6qwen2": Architecture(
        cached=False, recurrent="all", state="rwkv", graph=Graph(state_widths=13, state_inner=0)
    ),
    "rwkv7 arwkv7": Architecture(
        cached=False, recurrent="all", state="rwkv", graph=Graph(state_widths=18, state_inner=0)
    ),
    "falcon-h1": Architecture(recurrent="both", graph=Graph(state_widths=4)),
    "granitehybrid jamba plamo2": Architecture(recurrent="no-kv-heads"),
    "nemotron_h nemotron_h_moe": Architecture(
        recurrent="no-kv-heads-nor-ff", gated=False, rolls_back=True
    ),
    "lfm2": Architecture(
        rolls_back=True,
        recurrent="no-kv-heads",
        state="convolution",
        window=Window(0),
        graph=Graph(state_widths=6, state_inner=0, network_queries=0),
    ),
    "lfm2moe": Architecture(
        rolls_back=True,
        recurrent="no-kv-heads",
        state="convolution",
        graph=Graph(state_widths=6, state_inner=0, network_queries=0),
    ),
    "kimi-linear": Architecture(
        recurrent="no-kv-heads", state="delta", latent=True, graph=Graph(state_inner=0)
    ),
    "kimi-k3": Architecture(
        recurrent="no-kv-heads",
        state="delta",
        latent=True,
        rolls_back=True,
        graph=Graph(state_inner=0, latent_experts="expert_latent_length"),
    ),
    "bailingmoe3": Architecture(
        recurrent="no-kv-heads",
        state="delta",
        latent=True,
        rolls_back=True,
        graph=Graph(state_inner=0),
    ),
    "qwen3next": Architecture(
        recurrent="interval", graph=Graph(queries=5, network_queries=0, network_widths=1)
    ),
    "qwen35 qwen35moe": Architecture(
        rolls_back=True,
        recurrent="interval",
        graph=Graph(queries=5, state_inner=3, network_queries=0, network_widths=1),
    ),
}

ARCHITECTURES: Final[dict[str, Architecture]] = {
    **dict.fromkeys(_PLAIN.split(), Architecture()),
    **dict.fromkeys(_UNGATED.split(), Architecture(gated=False)),
    **dict.fromkeys(_DENSE_WIDE.split(), Architecture(dense_wide=True)),
    **dict.fromkeys(
        _UNCACHED_UNGATED.split(), Architecture(cached=False, has_output=False, gated=False)
    ),
    **dict.fromkeys(_UNCACHED.split(), Architecture(cached=False, has_output=False)),
    **dict.fromkeys(_DIFFUSION.split(), Architecture(cached=False)),
    **{name: facts for names, facts in _SPECIAL.items() for name in names.split()},
}
"""Judged in closed form."""

NEEDS_DRY_RUN: Final = {
    "deepseek4": "its compressed caches need the dry run",
    "glm5-next": "its pooled indexer needs the dry run",
    "graniteswitch": "its built-in adapters need the dry run",
    "minimax-01": "its lightning attention needs the dry run",
    "qwen4exp": "its compressed caches need the dry run",
    "t5": "its encoder needs the dry run",
    "t5encoder": "an encoder of this kind needs the dry run",
}
"""Judged by llama.cpp itself alone, and why."""

NO_MODEL: Final = {
    "clip": "this is a projector, which is loaded beside its model",
    "dflash": "this is a draft model, which is loaded beside its target",
    "eagle3": "this is a draft model, which is loaded beside its target",
    "gemma4-assistant": "this is a draft model, which is loaded beside its target",
    "wavtokenizer-dec": "this turns codes into sound, beside a model that speaks",
    "gptj": "llama.cpp knows the name but cannot run it",
}
"""Names in llama.cpp's list that no model is loaded by."""


def architecture(name: str) -> Architecture | str:
    """What is special about it, or why there is no closed form for it."""
    if known := ARCHITECTURES.get(name):
        return known
    if why := NO_MODEL.get(name) or NEEDS_DRY_RUN.get(name):
        return why
    return f"the architecture {name or '(none)'} needs the dry run"
