"""What one token makes each device read and compute, at one depth: the speed laws know no more.

Decoding reads every weight in use once, and the cache up to where the token stands; of a mixture of
experts only the used ones. Prefill multiplies the same weights for many tokens at once.
"""

from __future__ import annotations

from typing import NamedTuple

from modeldeck.engines.fit.cache import KV_BLOCKS
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.types import ALL_LAYERS, Plan

# Where neither parameters nor sizes say it: 4.8 bits, a Q4_K_M.
_USUAL_BYTES_PER_ELEMENT = 0.6


class DeviceCost(NamedTuple):
    """The part of a token that one device computes.

    Attributes:
        weight_bytes: weights read, without routed experts.
        expert_bytes: routed experts read: those in use.
        cache_bytes: keys, values and recurrent states read.
        stored_bytes: weights of blocks there, all experts too: what a large batch has copied to the
            GPU.
        elements: weights that prefill multiplies with, for each token.
        attention_flops: of all blocks at this depth.
        blocks: blocks there.
        routed_blocks: blocks with routed experts there.
        recurrent_blocks: blocks with a recurrent state.
    """

    weight_bytes: float = 0.0
    expert_bytes: float = 0.0
    cache_bytes: float = 0.0
    stored_bytes: float = 0.0
    elements: float = 0.0
    attention_flops: float = 0.0
    blocks: float = 0.0
    routed_blocks: float = 0.0
    recurrent_blocks: float = 0.0

    @property
    def read_bytes(self) -> float:
        """Everything that decoding one token reads."""
        return self.weight_bytes + self.expert_bytes + self.cache_bytes


class TokenCost(NamedTuple):
    """One token over GPU and host.

    Attributes:
        gpu: what the GPU does.
        host: what the CPU does.
        quantisation: the file's type by name.
    """

    gpu: DeviceCost
    host: DeviceCost
    quantisation: str

    @property
    def routed(self) -> bool:
        """It is a mixture of experts."""
        return self.gpu.routed_blocks + self.host.routed_blocks > 0


def token_cost(shape: Shape, plan: Plan, blocks_on_gpu: int | None, depth_tokens: int) -> TokenCost:
    """Of a model with its last ``blocks_on_gpu`` blocks on the GPU (None: no GPU).

    Args:
        shape: the model.
        plan: where the experts are, and the cache's type.
        blocks_on_gpu: 0 is the output layer alone.
        depth_tokens: tokens already in the cache.
    """
    layers = shape.layers
    k = min(blocks_on_gpu or 0, layers)
    first = layers - k
    last = min(max(plan.cpu_moe_blocks, first), layers)
    experts = shape.experts_host_bytes or (0,) * (layers + 1)
    share = shape.experts_used / shape.experts if shape.experts else 1.0
    there, here = experts[layers] - experts[last], experts[last]
    all_blocks, host_blocks = shape.blocks_host_bytes[0], shape.blocks_host_bytes[k]
    dense_gpu = all_blocks - host_blocks - (experts[layers] - experts[first])
    dense_host = host_blocks - experts[first]
    dense, routed_elements = _elements(shape)
    of_dense = dense / max(dense_gpu + dense_host, 1)
    of_routed = routed_elements / max(experts[layers], 1)
    attends = _attending_blocks(shape)
    flops = 4.0 * shape.heads * shape.key_length * _seen_blocks(shape, attends, depth_tokens)
    on_gpu = k / layers
    recurrent = layers - attends if shape.state_bytes and shape.state_bytes[-1] else 0.0
    routed = float(layers) if experts[layers] else 0.0
    output_gpu = shape.output_gpu_bytes if blocks_on_gpu is not None else 0
    output_host = 0 if blocks_on_gpu is not None else shape.output_gpu_bytes
    gpu = DeviceCost(
        weight_bytes=dense_gpu + output_gpu,
        expert_bytes=there * share,
        cache_bytes=_cache_read(shape, plan, k, depth_tokens),
        stored_bytes=dense_gpu + there,
        elements=dense_gpu * of_dense + there * share * of_routed,
        attention_flops=flops * on_gpu,
        blocks=k,
        routed_blocks=max(layers - last, 0) if routed else 0.0,
        recurrent_blocks=recurrent * on_gpu,
    )
    host = DeviceCost(
        weight_bytes=dense_host + output_host,
        expert_bytes=here * share,
        cache_bytes=_cache_read(shape, plan, layers, depth_tokens) - gpu.cache_bytes,
        stored_bytes=dense_host + here,
        elements=dense_host * of_dense + here * share * of_routed,
        attention_flops=flops * (1 - on_gpu),
        blocks=layers - k,
        routed_blocks=last if routed else 0.0,
        recurrent_blocks=recurrent * (1 - on_gpu),
    )
    return TokenCost(gpu, host, shape.quantisation)


def blocks_of(shape: Shape, plan: Plan) -> int | None:
    """Blocks on the GPU as a plan counts them; None: no GPU."""
    if plan.gpu_layers <= 0:
        return None
    return shape.layers if plan.gpu_layers >= ALL_LAYERS else min(plan.gpu_layers - 1, shape.layers)


def _cache_read(shape: Shape, plan: Plan, k: int, depth_tokens: int) -> float:
    per_block, elements = KV_BLOCKS[plan.kv_type]
    read = shape.kv_elements[k] * depth_tokens
    if shape.sliding_elements:
        window = min(depth_tokens, shape.window_tokens or depth_tokens)
        read += shape.sliding_elements[k] * window
    states = shape.state_bytes[k] if shape.state_bytes else 0
    return read * per_block / elements + states


def _attending_blocks(shape: Shape) -> float:
    """Blocks with a key and value cache: a hybrid has it in some only."""
    if not (shape.state_bytes and shape.state_bytes[-1]):
        return float(shape.layers)
    widest = shape.kv_heads * (shape.key_length + shape.value_length)
    return min(shape.kv_elements[-1] / widest, float(shape.layers)) if widest else 0.0


def _seen_blocks(shape: Shape, attends: float, depth_tokens: int) -> float:
    """Tokens that all blocks together look back at."""
    full, slid = shape.kv_elements[-1], shape.sliding_elements[-1] if shape.sliding_elements else 0
    if not full + slid:
        return attends * depth_tokens
    window = min(depth_tokens, shape.window_tokens or depth_tokens)
    return attends * (full * depth_tokens + slid * window) / (full + slid)


def _elements(shape: Shape) -> tuple[float, float]:
    """Elements of all blocks without and within routed experts.

    Tables are left out: the input is looked up, and a prompt's logits are its last token's alone.
    """
    blocks, experts = shape.blocks_host_bytes[0], (shape.experts_host_bytes or (0,))[-1]
    if not shape.parameters:
        return (blocks - experts) / _USUAL_BYTES_PER_ELEMENT, experts / _USUAL_BYTES_PER_ELEMENT
    stored = blocks + shape.output_host_bytes + shape.input_bytes
    table = shape.vocabulary * shape.embedding
    tables = table * (2 if shape.output_host_bytes * 8 > table else 1)
    inside = max(shape.parameters - tables, shape.parameters * blocks / stored / 2)
    routed = shape.expert_parameters or inside * experts / blocks
    return max(inside - routed, inside * 0.01), routed
