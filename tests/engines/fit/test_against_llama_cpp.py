"""The bill beside what the real llama.cpp prints when it loads a small model on the CPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import gguf
import numpy as np
import pytest

from modeldeck.engines.catalog.adapters import adapter_at
from modeldeck.engines.fit.drafting import beside, whole_bill
from modeldeck.engines.fit.shape import Unjudged
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.terms import bill
from modeldeck.engines.types import BlockWeights, KvType, ModelHeader, Plan, WeightTable

pytestmark = pytest.mark.real

MIB = 1 << 20
LAYERS, EMBEDDING, FEED_FORWARD, HEADS, KV_HEADS, VOCABULARY = 3, 512, 1536, 8, 2, 4000

# Loads the model with our plan in full, then leaves without unwinding the server's threads.
LOAD = """
import os, sys, xllamacpp as x
path, context, flash, kv, slots, micro_batch, *lora = sys.argv[1:]
p = x.CommonParams()
p.model.path, p.n_ctx, p.n_parallel, p.kv_unified = path, int(context), int(slots), True
p.n_batch, p.n_ubatch, p.fit_params, p.warmup = 2048, int(micro_batch), False, False
p.n_gpu_layers, p.port, p.verbosity = 0, 0, 4
if lora:
    info = x.CommonAdapterLoraInfo()
    info.path, info.scale = lora[0], 1.0
    p.lora_adapters = [info]
p.flash_attn_type = x.llama_flash_attn_type(int(flash))
p.cache_type_k = p.cache_type_v = getattr(x.ggml_type, "GGML_TYPE_" + kv.upper())
server = x.Server(p)
print("loaded", server.listening_address, flush=True)
sys.stderr.flush()
os._exit(0)
"""


def write_model(path: Path, *, tied: bool) -> ModelHeader:
    """A llama of random weights, and the header that a reader would make of it."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(8192)
    writer.add_embedding_length(EMBEDDING)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    words += [f"\u2581w{at}" for at in range(VOCABULARY - len(words))]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([0.0] * VOCABULARY)
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * (VOCABULARY - 259))
    sizes: Counter[str] = Counter()

    def tensor(name: str, *shape: int) -> None:
        data = np.full(shape, 0.01, np.float32 if len(shape) == 1 else np.float16)
        writer.add_tensor(name, data)
        sizes[".".join(name.split(".")[:2]) if name.startswith("blk.") else name] += data.nbytes

    key_value = KV_HEADS * EMBEDDING // HEADS
    tensor("token_embd.weight", VOCABULARY, EMBEDDING)
    tensor("output_norm.weight", EMBEDDING)
    if not tied:
        tensor("output.weight", VOCABULARY, EMBEDDING)
    for index in range(LAYERS):
        block = f"blk.{index}."
        tensor(block + "attn_norm.weight", EMBEDDING)
        tensor(block + "ffn_norm.weight", EMBEDDING)
        tensor(block + "attn_q.weight", EMBEDDING, EMBEDDING)
        tensor(block + "attn_k.weight", key_value, EMBEDDING)
        tensor(block + "attn_v.weight", key_value, EMBEDDING)
        tensor(block + "attn_output.weight", EMBEDDING, EMBEDDING)
        tensor(block + "ffn_gate.weight", FEED_FORWARD, EMBEDDING)
        tensor(block + "ffn_up.weight", FEED_FORWARD, EMBEDDING)
        tensor(block + "ffn_down.weight", EMBEDDING, FEED_FORWARD)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return ModelHeader(
        architecture="llama",
        name="",
        parameters=0,
        quantisation="F16",
        context_length=8192,
        vocabulary_size=VOCABULARY,
        has_chat_template=False,
        hparams={
            "llama.block_count": LAYERS,
            "llama.embedding_length": EMBEDDING,
            "llama.feed_forward_length": FEED_FORWARD,
            "llama.attention.head_count": HEADS,
            "llama.attention.head_count_kv": KV_HEADS,
        },
        weights=WeightTable(
            blocks=tuple(BlockWeights(at, sizes[f"blk.{at}"], 0, 0) for at in range(LAYERS)),
            token_embedding_bytes=sizes["token_embd.weight"],
            output_bytes=sizes["output_norm.weight"] + sizes["output.weight"],
            output_tied=tied,
        ),
        tensor_count=len(sizes),
    )


def printed(log: str, buffer: str) -> float:
    """MiB of a buffer, from a line like ``CPU KV buffer size =     4.00 MiB``."""
    found = re.search(rf"CPU\w* +{buffer} buffer size = +([\d.]+) MiB", log)
    assert found, log[-3000:]
    return float(found[1])


@pytest.mark.parametrize(
    ("context", "flash", "kv_type", "slots", "micro_batch", "tied"),
    [
        (4096, True, "f16", 1, 512, False),
        (4096, True, "q8_0", 1, 512, True),
        (8192, True, "q4_0", 4, 512, False),
        (8192, False, "f16", 1, 512, True),
        (4096, True, "f16", 1, 1024, False),
        (300, True, "f16", 1, 512, False),
    ],
)
def test_every_buffer_is_as_large_as_billed(
    tmp_path: Path,
    context: int,
    flash: bool,
    kv_type: KvType,
    slots: int,
    micro_batch: int,
    tied: bool,
) -> None:
    path = tmp_path / "model.gguf"
    shape = shape_of(write_model(path, tied=tied))
    assert not isinstance(shape, Unjudged)
    options = [str(context), str(int(flash)), kv_type, str(slots), str(micro_batch)]
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(path), *options],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    log = done.stdout + done.stderr
    assert "loaded" in log, log[-3000:]

    plan = Plan(
        context_tokens=context,
        kv_type=kv_type,
        slots=slots,
        micro_batch_tokens=micro_batch,
        flash_attention=flash,
        gpu_layers=0,
    )
    terms = bill(shape, plan, context, None)
    assert terms.weights_host_bytes / MIB == pytest.approx(printed(log, "model"), abs=0.01)
    assert terms.kv_host_bytes / MIB == pytest.approx(printed(log, "KV"), abs=0.01)
    compute = printed(log, "compute") + printed(log, "output")
    assert terms.compute_host_bytes / MIB == pytest.approx(compute, abs=1.1)


def test_an_adapter_is_as_large_as_billed(tmp_path: Path) -> None:
    shape = shape_of(write_model(tmp_path / "model.gguf", tied=False))
    assert not isinstance(shape, Unjudged)
    path = tmp_path / "adapter.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 16.0)
    for at in range(LAYERS):
        for half in "ab":
            widths = (16, EMBEDDING) if half == "a" else (EMBEDDING, 16)
            name = f"blk.{at}.attn_q.weight.lora_{half}"
            writer.add_tensor(name, np.full(widths, 0.01, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    words = [str(tmp_path / "model.gguf"), "512", "1", "f16", "1", "512", str(path)]
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    log = done.stdout + done.stderr
    assert "loaded" in log, log[-3000:]
    adapted = beside(shape, None, [adapter_at(path)])
    terms = whole_bill(adapted, Plan(context_tokens=512, gpu_layers=0), 512, None)
    assert terms.lora_host_bytes / MIB == pytest.approx(printed(log, "LoRA"), abs=0.01)
