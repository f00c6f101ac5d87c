"""Llama-architecture GGUFs with random weights: real models to any engine, made in seconds.

They say made-up words (`` w12 w345 …``) and practically never stop by themselves, which is what
tests of streaming, stopping and killing need.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Size:
    """Dimensions of a random model."""

    width: int
    blocks: int
    feed_forward: int
    vocabulary: int
    quantisation: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.Q8_0


TINY = Size(width=128, blocks=2, feed_forward=256, vocabulary=1024)
"""0.6 MB: loads at once, thousands of tokens per second."""

SLOW = Size(width=1024, blocks=10, feed_forward=3072, vocabulary=2048)
"""138 MB: some 70 tokens per second on one core."""

LARGE = Size(1024, 20, 4096, 2048, gguf.GGMLQuantizationType.Q4_0)
"""318 million parameters in 179 MB: what a benchmark reads through for every token."""

_TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
_HEADS, _KV_HEADS = 8, 4
_LOOK = 0.2
"""Scale of queries and keys with which a token looks at some others, and not at all alike."""


def _byte_tokens() -> list[str]:
    """The 256 printable stand-ins for bytes of GPT-2's byte-level vocabulary."""
    codes = [*range(33, 127), *range(161, 173), *range(174, 256)]
    stand_ins = list(codes)
    for byte in range(256):
        if byte not in codes:
            stand_ins.append(256 + len(codes) - 188)
            codes.append(byte)
    return [chr(code) for _, code in sorted(zip(codes, stand_ins, strict=True))]


def _random_q4_0(
    rng: np.random.Generator, rows: int, columns: int, scale: float
) -> npt.NDArray[np.uint8]:
    """Rows of Q4_0 blocks, drawn as they are stored: 32 numbers from -8 to 7 and their factor."""
    blocks = rng.integers(0, 256, (rows, columns // 32, 18), np.uint8)
    factor = np.array([scale / 4.6], np.float16)  # 4.6: the deviation of the sixteen numbers
    blocks[:, :, :2] = factor.view(np.uint8)
    return blocks.reshape(rows, -1)


def make_random_model(
    path: Path,
    size: Size = TINY,
    *,
    context_length: int = 4096,
    attention: float = 0.02,
    places: bool = False,
) -> Path:
    """Write a model to ``path`` (whole or not at all) and return it.

    With a scale of ``attention`` of 0.5, what it says hangs on all that was said before. With
    ``places`` it is built like Qwen2-VL: a token stands somewhere in time, height and width
    (M-RoPE), and what is said hangs on that, too.
    """
    rng = np.random.default_rng(0)
    temporary = path.with_suffix(f".{os.getpid()}")
    writer = gguf.GGUFWriter(temporary, "qwen2vl" if places else "llama")
    writer.add_name("random")
    writer.add_context_length(context_length)
    writer.add_embedding_length(size.width)
    writer.add_block_count(size.blocks)
    writer.add_feed_forward_length(size.feed_forward)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(size.width // _HEADS)
    if places:
        half = size.width // _HEADS // 2
        writer.add_rope_dimension_sections([half // 4, half * 3 // 8, half * 3 // 8, 0])
    writer.add_vocab_size(size.vocabulary)
    writer.add_file_type(2 if size.quantisation is gguf.GGMLQuantizationType.Q4_0 else 7)
    writer.add_quantization_version(2)
    tokens = ["<|end|>", *_byte_tokens()]
    tokens += [f"Ġw{i}" for i in range(size.vocabulary - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] + [1] * (len(tokens) - 1))
    writer.add_token_merges(["Ġ w"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(_TEMPLATE)

    def matrix(name: str, rows: int, columns: int, scale: float = 0.02) -> None:
        kind = size.quantisation
        if kind is gguf.GGMLQuantizationType.Q4_0:
            blocks = _random_q4_0(rng, rows, columns, scale)
        else:
            blocks = gguf.quants.quantize(
                rng.standard_normal((rows, columns), dtype=np.float32) * scale, kind
            )
        if name == "output.weight":
            # A logit of 0 is never among the forty best of so many: no end, and whole words only.
            blocks[:257] = gguf.quants.quantize(np.zeros((1, columns), np.float32), kind)
        writer.add_tensor(name, blocks, raw_dtype=kind)

    def norm(name: str) -> None:
        writer.add_tensor(name, np.ones(size.width, np.float32))

    width, kv_width = size.width, size.width * _KV_HEADS // _HEADS
    matrix("token_embd.weight", size.vocabulary, width, 1.0)
    matrix("output.weight", size.vocabulary, width, 0.05)
    norm("output_norm.weight")
    for block in range(size.blocks):
        prefix = f"blk.{block}."
        norm(prefix + "attn_norm.weight")
        matrix(prefix + "attn_q.weight", width, width, _LOOK if places else 0.02)
        matrix(prefix + "attn_k.weight", kv_width, width, _LOOK if places else 0.02)
        matrix(prefix + "attn_v.weight", kv_width, width, attention)
        matrix(prefix + "attn_output.weight", width, width, attention)
        norm(prefix + "ffn_norm.weight")
        matrix(prefix + "ffn_gate.weight", size.feed_forward, width)
        matrix(prefix + "ffn_up.weight", size.feed_forward, width)
        matrix(prefix + "ffn_down.weight", width, size.feed_forward)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    temporary.rename(path)
    return path


def make_aborting_model(source: Path, path: Path) -> Path:
    """A copy of ``source`` that loads, and whose first computation llama.cpp aborts on.

    Its epsilon is negative: ``GGML_ASSERT(eps >= 0.0f)`` ends the process.
    """
    data = source.read_bytes()
    key = b"attention.layer_norm_rms_epsilon"
    at = data.index(key) + len(key) + 4
    path.write_bytes(data[:at] + struct.pack("<f", -1.0) + data[at + 4 :])
    return path
