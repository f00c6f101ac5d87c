"""A vision projector with random weights: 16 patches of 8 x 8 pixels become 16 tokens of a model.

Keys and tensors as llama.cpp's ``tools/mtmd/clip.cpp`` reads them for the projector of LLaVA 1.5
(``mlp``): a ViT encoder, two linear layers with GELU.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

PATCH_PIXELS = 8
IMAGE_PIXELS = 32
IMAGE_TOKENS = (IMAGE_PIXELS // PATCH_PIXELS) ** 2
_WIDTH, _HEADS, _BLOCKS, _FEED_FORWARD = 64, 4, 2, 128


def make_random_projector(path: Path, model_width: int, *, merges: bool = False) -> Path:
    """Write a projector for a model of ``model_width`` to ``path`` and return it.

    One that ``merges`` is built like Qwen2-VL's: it takes an image in its own size, and makes one
    token of four patches.
    """
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_file_type(0)
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "qwen2vl_merger" if merges else "mlp")
    writer.add_bool("clip.use_gelu", True)
    writer.add_uint32("clip.vision.image_size", IMAGE_PIXELS)
    writer.add_uint32("clip.vision.patch_size", PATCH_PIXELS)
    writer.add_uint32("clip.vision.embedding_length", _WIDTH)
    writer.add_uint32("clip.vision.feed_forward_length", _FEED_FORWARD)
    writer.add_uint32("clip.vision.projection_dim", model_width)
    writer.add_uint32("clip.vision.block_count", _BLOCKS)
    writer.add_uint32("clip.vision.attention.head_count", _HEADS)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])

    def tensor(name: str, *shape: int, scale: float = 0.2) -> None:
        writer.add_tensor(name, (rng.standard_normal(shape) * scale).astype(np.float32))

    def norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(_WIDTH, np.float32))
        writer.add_tensor(f"{name}.bias", np.zeros(_WIDTH, np.float32))

    def linear(name: str, rows: int, columns: int) -> None:
        tensor(f"{name}.weight", rows, columns)
        tensor(f"{name}.bias", rows)

    if merges:
        tensor("v.patch_embd.weight", _WIDTH, 3, PATCH_PIXELS, PATCH_PIXELS)
        tensor("v.patch_embd.weight.1", _WIDTH, 3, PATCH_PIXELS, PATCH_PIXELS)
        norm("v.post_ln")
    else:
        tensor("v.class_embd", _WIDTH)
        tensor("v.patch_embd.weight", _WIDTH, 3, PATCH_PIXELS, PATCH_PIXELS)
        tensor("v.position_embd.weight", IMAGE_TOKENS + 1, _WIDTH)
        norm("v.pre_ln")
    for block in range(_BLOCKS):
        prefix = f"v.blk.{block}."
        norm(prefix + "ln1")
        norm(prefix + "ln2")
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            linear(prefix + name, _WIDTH, _WIDTH)
        linear(prefix + "ffn_up", _FEED_FORWARD, _WIDTH)
        linear(prefix + "ffn_down", _WIDTH, _FEED_FORWARD)
    linear("mm.0", model_width, _WIDTH * 4 if merges else _WIDTH)
    linear("mm.2", model_width, model_width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
