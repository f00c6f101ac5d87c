"""Writes a trained Llama as a GGUF file. Needs torch and gguf."""

# torch is absent where the project is checked, so its types are unknown there
# pyright: basic, reportMissingImports=false

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import torch

from modeldeck.engines.demo.network import Llama
from modeldeck.engines.demo.vocabulary import (
    CHAT_TEMPLATE,
    END_OF_TEXT,
    PRE_TOKENIZER,
    SPECIAL_TOKENS,
    TURN_END,
    TokenTable,
)

NAME = "modeldeck demo"
LICENCE = "MIT"


def write_gguf(path: Path, model: Llama, table: TokenTable, description: str) -> None:
    """Write ``model`` with its vocabulary to ``path``: matrices as Q8_0, norms as F32."""
    shape = model.shape
    writer: Any = gguf.GGUFWriter(str(path), "llama")
    writer.add_name(NAME)
    writer.add_description(description)
    writer.add_license(LICENCE.lower())
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    # It answers with facts: llama.cpp takes the likeliest words unless somebody says otherwise.
    writer.add_float32("general.sampling.temp", 0.0)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.embedding)
    writer.add_block_count(shape.blocks)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_vocab_size(shape.vocabulary)
    _add_tokenizer(writer, table)
    for name, weight in model.state_dict().items():
        values = weight.detach().to(torch.float32).numpy()
        if values.ndim == 1:
            writer.add_tensor(name, values)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: Any, table: TokenTable) -> None:
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER)
    writer.add_token_list(list(table.tokens))
    writer.add_token_types([control if t in SPECIAL_TOKENS else normal for t in table.tokens])
    writer.add_token_merges(list(table.merges))
    writer.add_bos_token_id(table.tokens.index(END_OF_TEXT))
    writer.add_eos_token_id(table.tokens.index(TURN_END))
    writer.add_pad_token_id(table.tokens.index(END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
