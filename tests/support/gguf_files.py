"""Makes GGUF files for tests: any metadata, any dimensions, and weights that take no room on disk.

The weights are a hole in the file: its length is right, its blocks are not there.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from modeldeck.engines.formats.ggml_types import GGML_TYPES

F32, F16, Q4_0, Q8_0, Q4_K, Q6_K = 0, 1, 2, 8, 12, 14
U8, I8, U16, I16, U32, I32, FLOAT32, BOOL, STRING, ARRAY, U64, I64, FLOAT64 = range(13)
_LETTERS = "BbHhIif?"
ALIGNMENT = 32

Plain = int | float | bool | str
Value = Plain | Sequence[Plain] | bytes
"""``bytes`` is a value already packed, its type in front: for what no writer would write."""


@dataclass(frozen=True)
class Tensor:
    """A row of the tensor table; ``shape`` as ggml has it, the row length first."""

    name: str
    shape: tuple[int, ...]
    ggml_type: int = F16

    @property
    def size_bytes(self) -> int:
        """Bytes of its weights."""
        packing = GGML_TYPES[self.ggml_type]
        return prod(self.shape) // packing.block_elements * packing.block_bytes


def packed_string(text: str | bytes) -> bytes:
    """A string as the format has it."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(data)) + data


def _kind(value: Plain) -> int:
    match value:
        case bool():
            return BOOL
        case int():
            return U32 if 0 <= value < 1 << 32 else I64
        case float():
            return FLOAT32
        case str():
            return STRING


def _plain(value: Plain, kind: int) -> bytes:
    if isinstance(value, str):
        return packed_string(value)
    return struct.pack(f"<{_LETTERS[kind] if kind < STRING else 'q'}", value)


def packed(value: Value) -> bytes:
    """A value with its type in front: whole numbers as u32 where they fit, the rest as f32."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool | int | float | str):
        kind = _kind(value)
        return struct.pack("<I", kind) + _plain(value, kind)
    kind = max((_kind(item) for item in value), default=U32)
    items = b"".join(_plain(item, kind) for item in value)
    return struct.pack("<IIQ", ARRAY, kind, len(value)) + items


def header_bytes(
    metadata: Mapping[str, Value], tensors: Sequence[Tensor] = (), *, version: int = 3
) -> bytes:
    """A header, filled up to where its weights begin."""
    data = bytearray(struct.pack("<4sIQQ", b"GGUF", version, len(tensors), len(metadata)))
    for key, value in metadata.items():
        data += packed_string(key) + packed(value)
    offset = 0
    for tensor in tensors:
        data += packed_string(tensor.name) + struct.pack("<I", len(tensor.shape))
        data += struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape)
        data += struct.pack("<IQ", tensor.ggml_type, offset)
        offset += aligned(tensor.size_bytes)
    return bytes(data) + bytes(aligned(len(data)) - len(data))


def aligned(size_bytes: int) -> int:
    """``size_bytes`` rounded up to the alignment."""
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def write_gguf(path: Path, metadata: Mapping[str, Value], tensors: Sequence[Tensor] = ()) -> Path:
    """Write a whole file, its weights a hole of the right length."""
    header = header_bytes(metadata, tensors)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + sum(aligned(tensor.size_bytes) for tensor in tensors))
    return path


def llama_metadata(
    *,
    name: str = "Tiny Llama",
    blocks: int = 2,
    embedding: int = 64,
    feed_forward: int = 128,
    heads: int = 4,
    kv_heads: int = 2,
    context: int = 2048,
    tokens: int = 320,
    file_type: int = 1,
) -> dict[str, Value]:
    """The metadata of a plain llama-architecture model."""
    return {
        "general.architecture": "llama",
        "general.name": name,
        "general.file_type": file_type,
        "llama.block_count": blocks,
        "llama.context_length": context,
        "llama.embedding_length": embedding,
        "llama.feed_forward_length": feed_forward,
        "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": kv_heads,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": embedding // heads,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [f"token{number}" for number in range(tokens)],
        "tokenizer.chat_template": "{{ messages }}",
    }


def llama_tensors(
    *,
    blocks: int = 2,
    embedding: int = 64,
    feed_forward: int = 128,
    heads: int = 4,
    kv_heads: int = 2,
    tokens: int = 320,
    ggml_type: int = F16,
    tied: bool = False,
    experts: int = 0,
) -> list[Tensor]:
    """The tensor table of that model; with ``experts``, its feed-forward is a mixture of them."""
    kv = embedding // heads * kv_heads
    table = [Tensor("token_embd.weight", (embedding, tokens), ggml_type)]
    for block in range(blocks):
        at = f"blk.{block}"
        table += [
            Tensor(f"{at}.attn_norm.weight", (embedding,), F32),
            Tensor(f"{at}.attn_q.weight", (embedding, embedding), ggml_type),
            Tensor(f"{at}.attn_k.weight", (embedding, kv), ggml_type),
            Tensor(f"{at}.attn_v.weight", (embedding, kv), ggml_type),
            Tensor(f"{at}.attn_output.weight", (embedding, embedding), ggml_type),
            Tensor(f"{at}.ffn_norm.weight", (embedding,), F32),
        ]
        each: tuple[int, ...] = (experts,) if experts else ()
        ending = "_exps" if experts else ""
        table += [
            Tensor(f"{at}.ffn_gate{ending}.weight", (embedding, feed_forward, *each), ggml_type),
            Tensor(f"{at}.ffn_up{ending}.weight", (embedding, feed_forward, *each), ggml_type),
            Tensor(f"{at}.ffn_down{ending}.weight", (feed_forward, embedding, *each), ggml_type),
        ]
        if experts:
            table.append(Tensor(f"{at}.ffn_gate_inp.weight", (embedding, experts), F32))
    table.append(Tensor("output_norm.weight", (embedding,), F32))
    if not tied:
        table.append(Tensor("output.weight", (embedding, tokens), ggml_type))
    return table


def write_llama(path: Path, *, name: str = "Tiny Llama", ggml_type: int = F16) -> Path:
    """Write a small sound model, to be found and listed."""
    return write_gguf(path, llama_metadata(name=name), llama_tensors(ggml_type=ggml_type))


def write_split_llama(folder: Path, stem: str, parts: int = 3) -> list[Path]:
    """Write a small sound model in ``parts`` files, named and marked as ``gguf-split`` does."""
    tensors = llama_tensors()
    share = -(-len(tensors) // parts)
    paths: list[Path] = []
    for number in range(parts):
        split: dict[str, Value] = {
            "split.no": struct.pack("<IH", U16, number),
            "split.count": struct.pack("<IH", U16, parts),
            "split.tensors.count": struct.pack("<Ii", I32, len(tensors)),
        }
        metadata = (llama_metadata() if number == 0 else {}) | split
        path = folder / f"{stem}-{number + 1:05}-of-{parts:05}.gguf"
        paths.append(write_gguf(path, metadata, tensors[number * share : (number + 1) * share]))
    return paths


def small_gguf() -> bytes:
    """A whole GGUF file of a few hundred bytes, its weights zeros."""
    tensors = [Tensor("token_embd.weight", (32, 8), F16), Tensor("output_norm.weight", (32,), F32)]
    header = header_bytes(llama_metadata(blocks=1, embedding=32, tokens=8), tensors)
    return header + bytes(sum(-(-tensor.size_bytes // ALIGNMENT) * ALIGNMENT for tensor in tensors))


def llamafile_bytes(gguf: bytes) -> bytes:
    """A program with ``gguf`` in the archive at its end, as zipalign leaves it."""
    buffer = io.BytesIO(b"MZqFpD='\n" + bytes(200))
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as zipped:
        zipped.writestr("model.gguf", gguf)
        zipped.writestr(".args", "-m\nmodel.gguf\n")
    return buffer.getvalue()
