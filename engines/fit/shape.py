"""The shape of a model: what the closed form needs of a header, and nothing else.

Whatever differs from block to block is summed beforehand, by the number of blocks on the GPU, so
that a bill for another context is a handful of multiplications however many blocks there are.
"""

from __future__ import annotations

from typing import NamedTuple

from modeldeck.engines.types import WeightTable


class Phase(NamedTuple):
    """One part of the graph; equal blocks are one phase.

    Attributes:
        per_token: 32-bit numbers alive for each token of a micro-batch.
        heads: rows of attention scores per token and cell, where they are kept: without flash
            attention.
        cached_elements: of K and V for a token; a quantised cache is unpacked to 16 bits here.
        sliding: its cells are those of the window.
        copied_per_token: as ``per_token`` where the weights are copied from host memory one at a
            time; 0 for all but a mixture of experts.
        scores: 32-bit numbers per token and cell that an indexer keeps.
        flash_scores: the same with flash attention and one slot alone.
        states: 32-bit numbers for each slot.
        turned: elements of V for a cell that are copied, turned, where there is no flash attention.
        below: 32-bit numbers for each token below the block's input, which what is larger than
            them cannot use.
        below_unpacked: that matters to what a quantised cache is unpacked to alone.
        fused: it is like that where experts are weighed and summed at once: on a GPU.
        result: numbers of attention's result for each token, where its place is taken by what was
            unpacked or by the mask of what an indexer chose.
        hole: for each token, where that mask has room without taking it; 0 where there is none.
        spare: for each token, what of an unpacked cache has room.
    """

    per_token: int
    heads: int = 0
    cached_elements: int = 0
    sliding: bool = False
    copied_per_token: int = 0
    scores: float = 0.0
    flash_scores: int = 0
    states: int = 0
    turned: int = 0
    below: int = 0
    below_unpacked: bool = False
    fused: bool = False
    result: int = 0
    hole: int = 0
    spare: int = 0


class Unjudged(NamedTuple):
    """Why there is no shape; ``why`` completes "not judged yet: …"."""

    why: str


class Beside(NamedTuple):
    """What is loaded beside a model, in numbers.

    Attributes:
        draft: the draft model; None when nothing drafts, or the model's own blocks do.
        adapters: their tensors, by where the tensors are that they change.
    """

    draft: Shape | None = None
    adapters: tuple[WeightTable, ...] = ()


class Shape(NamedTuple):
    """A model in numbers.

    The tables are indexed by k, the number of blocks on the GPU; those are the *last* k, because
    llama.cpp fills from the back (``llama-model.cpp``, ``load_tensors``).

    Attributes:
        layers: blocks.
        trained_context_tokens: 0 when unknown.
        vocabulary: tokens.
        embedding: model width.
        feed_forward: width of the widest feed-forward network.
        heads: attention heads of the widest block; 0 when no block attends.
        key_length: elements per head of K.
        value_length: elements per head of V.
        kv_heads: K and V heads of the widest block.
        blocks_gpu_bytes: weights of the last k blocks, with CUDA's padding.
        blocks_host_bytes: weights of the others, as stored.
        kv_elements: K and V elements per token over the last k blocks, those whose cache spans the
            context.
        input_bytes: tables that are always in host memory.
        output_gpu_bytes: the output layer on the GPU; a tied one is a second copy there.
        output_host_bytes: the output layer in host memory, where a tied one needs no copy.
        largest_matrix_bytes: largest matrix of a block, or an upper estimate of it.
        quantisation: the file's type by name.
        projector_bytes: what seeing images takes; 0 for a model that sees none.
        sliding_elements: as ``kv_elements``, of the blocks that cache a window.
        window_tokens: that window; 0 when no block slides.
        unflashed_elements: as ``kv_elements`` without flash attention, when every V is as wide as
            the widest.
        unflashed_sliding_elements: the same of blocks that cache a window.
        widest_values: elements of V for a token in the block that has most; 0 where it has none.
        state_bytes: recurrent state of one sequence over the last k blocks.
        experts_gpu_bytes: routed experts of the *first* n blocks with CUDA's padding, by n.
        experts_host_bytes: the same as stored.
        largest_expert_bytes: largest tensor of routed experts.
        phases: parts of the graph that may set the compute buffer's size.
        layer_inputs: what a token brings to the blocks beside its embedding.
        crossing: streams as wide as the model that go from card to card beside it.
        experts_used: of the routed ones, for each token; 0 in a dense model.
        experts: routed ones in a block; 0 in a dense model.
        parameters: elements over all tensors; 0 when unknown.
        expert_parameters: of those, in routed experts.
        cached: it keeps a key and value cache or a recurrent state.
        flash_attention: it can use it.
        reads_cache: it attends to what is cached, not to the batch alone.
        head_sizes: elements per head of K and V, of all blocks that attend.
        rolls_back: drafted tokens can be taken back out of its recurrent state.
        every_output: logits are made for every token of a micro-batch.
        ahead_bytes: weights of the blocks for multi-token prediction, loaded for drafting alone.
        ahead_elements: their K and V elements per token.
        beside: what is loaded with it; None: nothing but a projector.
    """

    layers: int
    trained_context_tokens: int
    vocabulary: int
    embedding: int
    feed_forward: int
    heads: int
    key_length: int
    value_length: int
    kv_heads: int
    blocks_gpu_bytes: tuple[int, ...]
    blocks_host_bytes: tuple[int, ...]
    kv_elements: tuple[int, ...]
    input_bytes: int
    output_gpu_bytes: int
    output_host_bytes: int
    largest_matrix_bytes: int
    quantisation: str
    projector_bytes: int = 0
    sliding_elements: tuple[int, ...] = ()
    window_tokens: int = 0
    unflashed_elements: tuple[int, ...] = ()
    unflashed_sliding_elements: tuple[int, ...] = ()
    widest_values: int = 0
    state_bytes: tuple[int, ...] = ()
    experts_gpu_bytes: tuple[int, ...] = ()
    experts_host_bytes: tuple[int, ...] = ()
    largest_expert_bytes: int = 0
    phases: tuple[Phase, ...] = ()
    layer_inputs: int = 0
    crossing: int = 0
    experts_used: int = 0
    experts: int = 0
    parameters: int = 0
    expert_parameters: int = 0
    cached: bool = True
    flash_attention: bool = True
    reads_cache: bool = True
    head_sizes: tuple[tuple[int, int], ...] = ()
    rolls_back: bool = False
    every_output: bool = False
    ahead_bytes: int = 0
    ahead_elements: int = 0
    beside: Beside | None = None
