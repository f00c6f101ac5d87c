"""Keys of a made-up model of any architecture, as small as it can be and still show an error.

After llama.cpp's own ``tests/test-llama-archs.cpp``: keys that an architecture does not read do no
harm, so that most of them are the same for all.
"""

from __future__ import annotations

from tests.support.llama_lab import Key

LAYERS = 6


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LATENT = _names("""
    deepseek2 deepseek32 glm-dsa dots3note kimi-linear bailingmoe3 kimi-k3 glm5-next hy_v4 mistral4
    """)
_HYBRID = _names("""
    plamo2 jamba granitehybrid lfm2 lfm2moe kimi-linear bailingmoe3 kimi-k3 glm5-next nemotron_h
    nemotron_h_moe
    """)
_MARKED = _names("""
    cohere2moe mimo2 step35 spark2_5 muse-glimmer granite_swa dots3note maple gemma4
    """)
_FULL_HEADS = _names("""
    bloom chameleon codeshell cogvlm deci deepseek2-ocr dots1 gpt2 gptneox jais jina-bert-v2
    minicpm3 minimax-m3 mpt olmoe phi2 plm talkie
    """)
_DENSE_WIDE = _names("arctic dbrx granitemoe grok hunyuan-moe minimax-m2 olmoe phimoe")
_SHARED = _names("""
    afmoe bailingmoe bailingmoe2 bailingmoe3 cohere2moe deepseek deepseek2 deepseek2-ocr deepseek32
    dots1 dots3note ernie4_5-moe exaone-moe glm4moe glm-dsa granitehybrid granitemoe hunyuan-moe
    hy_v3 hy_v4 kimi-k3 kimi-linear laguna llama4 minimax-m3 mistral4 nemotron_h_moe qwen2moe
    qwen35moe qwen3next step35 paddleocr
    """)
EXPERTS = _names("""
    llama4 cohere2moe grok qwen2moe qwen3moe qwen3next qwen3vlmoe qwen35moe phimoe dbrx olmoe
    arctic deepseek deepseek2 deepseek2-ocr deepseek32 dots3note glm4moe glm-dsa exaone-moe
    bailingmoe bailingmoe2 bailingmoe3 dots1 afmoe ernie4_5 ernie4_5-moe hunyuan-moe hy_v3 hy_v4
    gpt-oss lfm2moe smallthinker llada-moe grovemoe minimax-m2 minimax-m3 rnd1 paddleocr mimo2
    kimi-linear kimi-k3 step35 mistral4 mellum laguna maple granitemoe nemotron_h_moe
    nomic-bert-moe
    """)
"""Architectures that are built as a mixture of experts."""


def keys_of(name: str, *, tokens: int = 32000) -> dict[str, Key]:
    """Every key that the architecture may ask for."""
    layers = {"gemma3n": 24, "llama4": 8, "hrm_text": 6}.get(name, LAYERS)
    embedding, heads, wide = 1280, 10, 3456
    kv_heads = 1 if name in _LATENT else heads if name in _FULL_HEADS else 2
    head = embedding // heads
    kv: Key = kv_heads
    if name in _HYBRID:
        kv = [0 if at % 2 else kv_heads for at in range(layers)]
    width: Key = wide
    if name.startswith("nemotron_h"):
        kv = [0, kv_heads, 0, 0, kv_heads, 0]
        width = [0, 0, wide, 0, 0, wide]
    keys: dict[str, Key] = {
        "vocab_size": tokens,
        "context_length": 131072,
        "embedding_length": embedding,
        "features_length": embedding,
        "block_count": layers,
        "leading_dense_block_count": 1,
        "feed_forward_length": width,
        "use_parallel_residual": False,
        "logit_scale": 1.0,
        "time_mix_extra_dim": 64,
        "time_decay_extra_dim": 128,
        "full_attention_interval": 3,
        "attention.head_count": heads,
        "attention.head_count_kv": kv,
        "attention.max_alibi_bias": 8.0,
        "attention.clamp_kqv": 1.0,
        "attention.layer_norm_epsilon": 1e-5,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "attention.group_norm_epsilon": 1e-5,
        "attention.group_norm_groups": 8,
        "attention.q_lora_rank": 512,
        "attention.kv_lora_rank": 512,
        "attention.decay_lora_rank": 64,
        "attention.iclr_lora_rank": 64,
        "attention.value_residual_mix_lora_rank": 64,
        "attention.gate_lora_rank": 64,
        "attention.relative_buckets_count": 8,
        "attention.sliding_window": 512,
        "attention.indexer.head_count": heads if name == "minimax-m3" else 64,
        "attention.indexer.key_length": 128,
        "attention.indexer.top_k": 2048,
        "attention.indexer.block_size": 128,
        "attention.indexer.kpool": 4,
        "attention.indexer.kpool_select_tail": True,
        "attention.indexer.local_blocks": 1,
        "rope.dimension_sections": [head // 4] * 4,
        "posnet.embedding_length": embedding,
        "posnet.block_count": layers,
        "convnext.embedding_length": embedding,
        "convnext.block_count": layers,
        "ssm.inner_size": 2 * embedding,
        "ssm.conv_kernel": 4,
        "ssm.state_size": 128,
        "ssm.time_step_rank": 2 * embedding // 128 if name.startswith("qwen3") else heads,
        "ssm.group_count": 0 if name in {"plamo2", "mamba", "jamba"} else 2,
        "kda.head_dim": 128,
        "kda.safe_gate": True,
        "kda.gate_lower_bound": -5.0,
        "wkv.head_size": 64,
        "shortconv.l_cache": 3,
        "residual_scale": 3.5,
        "attn_res.block_size": 12,
        "activation.situ_beta": 4.0,
        "activation.situ_linear_beta": 25.0,
        "hyper_connection.count": 4,
        "hyper_connection.sinkhorn_iterations": 2,
        "hyper_connection.epsilon": 1e-6,
        "hyper_connection.magnitude": 2.0,
        "hyper_connection.low_rank": 8,
        "swiglu_clamp_exp": 7.0,
        "hrm.layers_per_stack": 1,
        "hrm.h_cycles": 2,
        "hrm.l_cycles": 2,
    }
    if name in _MARKED:
        keys["attention.sliding_window_pattern"] = [int(at % 3 < 2) for at in range(layers)]
    if name in _LATENT:
        keys |= {
            "attention.key_length": 512 if name == "glm5-next" else 576,
            "attention.value_length": 512,
            "rope.dimension_count": 0 if name == "glm5-next" else 64,
            "attention.key_length_mla": 192,
            "attention.value_length_mla": 128,
            "attention.key_length_swa": 576,
            "attention.value_length_swa": 512,
            "attention.kv_lora_rank_swa": 512,
            "attention.key_length_mla_swa": 192,
            "attention.value_length_mla_swa": 128,
            "rope.freq_base_swa": 10000.0,
        }
    if name in {"arwkv7", "rwkv6qwen2"}:
        keys["token_shift_count"] = 1
    if name in {"minicpm3", "plm"}:
        keys["rope.dimension_count"] = 32
    if name == "rwkv6":
        keys |= {"attention.head_count": 0, "attention.head_count_kv": 0}
    if name in {"dots3note", "hy_v4"}:
        keys["attention.indexer.types"] = [int(at % 3 == 2 or at == 0) for at in range(layers)]
        if name == "dots3note":
            keys["attention.indexer.types"] = [int(at % 3 == 2) for at in range(layers)]
    if name == "minimax-m3":
        keys["rope.dimension_count"] = 64
    if name == "bailingmoe3":
        keys["rope.dimension_sections"] = [8, 12, 12, 0]
    if name == "gemma4":
        keys |= {
            "embedding_length_per_layer_input": 256,
            "attention.shared_kv_layers": 3,
            "attention.key_length": 2 * head,
            "attention.value_length": 2 * head,
            "attention.key_length_swa": head,
            "attention.value_length_swa": head,
            "rope.freq_base_swa": 10000.0,
        }
    if name in EXPERTS:
        keys |= {
            "expert_feed_forward_length": 736,
            "expert_latent_length": 512,
            "interleave_moe_layer_step": 2,
            "expert_count": 16,
            "expert_used_count": 3,
            "expert_gating_func": 2,
            "expert_group_scale": 1.0,
            "experts_per_group": 1,
            "expert_weights_scale": 1.0,
            "expert_weights_norm": True,
        }
    if name in _SHARED:
        keys |= {"expert_shared_feed_forward_length": 672, "expert_shared_count": 1}
    if name in _DENSE_WIDE:
        keys["expert_feed_forward_length"] = wide
    made: dict[str, Key] = {f"{name}.{key}": value for key, value in keys.items()}
    return {
        "general.architecture": name,
        "tokenizer.ggml.model": "none",
        "tokenizer.ggml.token_type_count": 2,
        "xielu.alpha_n": 1.0,
        "xielu.alpha_p": 1.0,
        "xielu.beta": 1.0,
        "xielu.eps": 1e-7,
        **made,
    }
