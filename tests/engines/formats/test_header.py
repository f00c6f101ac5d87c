"""What the list and the verdict learn of a model from the headers of its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.ggml_types import FILE_TYPES, GGML_TYPES
from modeldeck.engines.formats.gguf import ArrayInfo, GgufFile, MetadataValue, TensorInfo, read_gguf
from modeldeck.engines.formats.header import cuda_padding_bytes, header_of, weight_table
from modeldeck.engines.formats.source import open_regular
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import BlockWeights
from tests.support.gguf_files import (
    F16,
    F32,
    Q4_0,
    Q4_K,
    Q6_K,
    Q8_0,
    Tensor,
    llama_metadata,
    llama_tensors,
    write_gguf,
    write_split_llama,
)


def parts_of(*paths: Path) -> list[GgufFile]:
    parts: list[GgufFile] = []
    for path in paths:
        with open_regular(path) as source:
            parts.append(read_gguf(source))
    return parts


def rows(*tensors: Tensor) -> list[TensorInfo]:
    return [TensorInfo(t.name, t.shape, t.ggml_type, 0, t.size_bytes) for t in tensors]


def file(metadata: dict[str, MetadataValue], tensors: Sequence[Tensor] = ()) -> GgufFile:
    table = rows(*(tensors or [Tensor("token_embd.weight", (32, 4), Q8_0)]))
    return GgufFile(3, {"general.architecture": "llama"} | metadata, tuple(table), 0, 1000)


def test_a_plain_model_is_described(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", llama_metadata(), llama_tensors())

    header = header_of(parts_of(path))

    assert header.architecture == "llama"
    assert header.name == "Tiny Llama"
    assert header.parameters == 2 * 20_480 + 2 * (2 * 64 + 2 * 4096 + 2 * 2048 + 3 * 8192) + 64
    assert header.quantisation == "F16"
    assert header.context_length == 2048
    assert header.vocabulary_size == 320
    assert header.has_chat_template
    assert header.tensor_count == 21
    assert header.hparams["llama.attention.head_count_kv"] == 2
    assert header.hparams["tokenizer.ggml.model"] == "gpt2"
    assert "tokenizer.chat_template" not in header.hparams
    assert "tokenizer.ggml.tokens" not in header.hparams
    weights = header.weights
    assert [block.number for block in weights.blocks] == [0, 1]
    assert weights.token_embedding_bytes == weights.output_bytes - 256 == 64 * 320 * 2
    assert not weights.output_tied
    assert weights.total_bytes == sum(tensor.size_bytes for tensor in llama_tensors())


def test_a_tied_output_is_noticed() -> None:
    weights = weight_table(rows(*llama_tensors(tied=True)))

    assert weights.output_tied
    assert weights.output_bytes == 256


def test_routed_experts_are_apart_from_what_every_token_needs() -> None:
    tensors = [
        *llama_tensors(experts=8, ggml_type=Q4_0),
        Tensor("blk.1.ffn_up_shexp.weight", (64, 32), F16),
        Tensor("blk.1.ffn_gate_up_exps.weight", (64, 32), F16),
        Tensor("blk.1.ffn_down_chexps.weight", (64, 32), F16),
        Tensor("blk.1.ffn_down_exps.bias", (64,), F32),
    ]

    first, second = weight_table(rows(*tensors)).blocks

    experts = 8 * 3 * 64 * 128 // 32 * 18
    assert first.expert_bytes == experts
    assert second.expert_bytes == experts + 2 * 64 * 32 * 2 + 64 * 4
    assert second.dense_bytes == first.dense_bytes + 64 * 32 * 2


def test_each_tensor_is_counted_once_where_llama_cpp_may_put_it() -> None:
    host = [
        Tensor("per_layer_token_embd.weight", (64, 320), Q8_0),
        Tensor("position_embd.weight", (64, 10), F32),
        Tensor("token_types.weight", (64, 2), F32),
    ]
    first = [
        Tensor("token_embd_norm.weight", (64,), F32),
        Tensor("per_layer_model_proj.weight", (64, 96), F16),
        Tensor("per_layer_proj_norm.weight", (64,), F32),
    ]
    output = [
        Tensor("output.weight", (64, 320), Q6_K),
        Tensor("output.bias", (320,), F32),
        Tensor("output_norm.weight", (64,), F32),
    ]
    other = [Tensor("rope_freqs.weight", (32,), F32), Tensor("blk.x.odd", (7,), F32)]
    embedding = [Tensor("token_embd.weight", (64, 320), F16)]

    weights = weight_table(rows(*host, *first, *output, *other, *embedding))

    assert weights.host_only_bytes == sum(t.size_bytes for t in host)
    assert weights.output_bytes == sum(t.size_bytes for t in output)
    assert weights.other_bytes == sum(t.size_bytes for t in other)
    assert weights.token_embedding_bytes == 64 * 320 * 2
    (block,) = weights.blocks
    assert (block.number, block.dense_bytes) == (0, sum(t.size_bytes for t in first))


@pytest.mark.parametrize(
    ("tensor", "padding_bytes"),
    [
        (Tensor("t", (4096, 4096), Q4_K), 0),
        (Tensor("t", (512,), F32), 0),
        (Tensor("t", (64,), F32), 0),
        (Tensor("t", (65,), F32), 124),
        (Tensor("t", (256, 4), Q4_K), 144 + 48),  # 576 + one block of 144 = 720, then 768
        (Tensor("t", (2560, 10), Q6_K), 120),  # rows are whole: 21000, then 21120
        (Tensor("t", (96, 4), Q8_0), 13 * 34 + 46),  # 408 + 416/32 blocks = 850, then 896
    ],
)
def test_what_cuda_adds(tensor: Tensor, padding_bytes: int) -> None:
    (row,) = rows(tensor)

    assert cuda_padding_bytes(row) == padding_bytes
    block = weight_table(rows(Tensor("blk.3.t", tensor.shape, tensor.ggml_type))).blocks
    assert block == (BlockWeights(3, tensor.size_bytes, 0, padding_bytes),)


def test_a_split_model_is_one(tmp_path: Path) -> None:
    split = header_of(parts_of(*write_split_llama(tmp_path, "m")))
    whole = header_of(parts_of(write_gguf(tmp_path / "w.gguf", llama_metadata(), llama_tensors())))

    assert split.weights == whole.weights
    assert split.parameters == whole.parameters
    assert split.tensor_count == whole.tensor_count


def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    first, second, third = parts_of(*write_split_llama(tmp_path, "m"))
    other = parts_of(*write_split_llama(tmp_path / "other", "m", 4))

    for parts, words in (
        ([first], "1 of 3 parts"),
        ([first, third, second], "Part 2 is another part"),
        ([first, first, first], "Part 2 is another part"),
        ([first, second], "1 of 3 parts"),
        ([first, second, other[2]], "1 of 4 parts"),
    ):
        with pytest.raises(FormatError, match=words):
            header_of(parts)


def test_parts_with_too_few_tensors_are_refused() -> None:
    def part(number: int) -> GgufFile:
        return file({"split.no": number, "split.count": 2, "split.tensors.count": 3})

    with pytest.raises(FormatError, match="2 tensors of 3"):
        header_of([part(0), part(1)])


def test_a_file_without_a_model_is_refused() -> None:
    with pytest.raises(FormatError, match="architecture"):
        header_of([file({"general.architecture": 7})])
    with pytest.raises(FormatError, match="no weights"):
        header_of([GgufFile(3, {"general.architecture": "llama"}, (), 0, 0)])


@pytest.mark.parametrize(
    ("file_type", "name"),
    [(15, "Q4_K_M"), (15 | 1024, "Q4_K_M"), (38, "MXFP4"), (0, "F32"), (5000, "Q8_0")],
)
def test_the_quantisation_has_the_name_people_know(file_type: int, name: str) -> None:
    assert header_of([file({"general.file_type": file_type})]).quantisation == name


@pytest.mark.parametrize("file_type", [None, "Q4_K_M", -1, 3.5, (15,), ArrayInfo(4, 9)])
def test_without_a_usable_file_type_most_bytes_decide(file_type: MetadataValue | None) -> None:
    metadata: dict[str, MetadataValue] = {}
    if file_type is not None:
        metadata["general.file_type"] = file_type
    tensors = [
        Tensor("a", (4096,), F32),
        Tensor("b", (256, 256), Q4_K),
        Tensor("c", (256, 10), Q6_K),
    ]

    assert header_of([file(metadata, tensors)]).quantisation == "Q4_K"


def test_a_type_without_a_name_keeps_its_number() -> None:
    unknown = TensorInfo("a", (64,), 222, 0, 500)

    part = GgufFile(3, {"general.architecture": "llama"}, (unknown,), 0, 0)

    assert header_of([part]).quantisation == "type 222"


def test_the_tables_agree_with_the_reference() -> None:
    sizes: dict[Any, tuple[int, int]] = gguf.GGML_QUANT_SIZES
    ours = {number: (t.block_elements, t.block_bytes) for number, t in GGML_TYPES.items()}
    theirs = {int(kind): size for kind, size in sizes.items()}
    theirs[9] = (32, 36)  # Q8_1: two halves and 32 bytes (ggml-common.h); gguf-py counts 40

    assert ours.items() >= theirs.items()
    for kind in gguf.LlamaFileType:
        name = kind.name.removeprefix("MOSTLY_").removeprefix("ALL_").removesuffix("_MOE")
        assert name == "GUESSED" or FILE_TYPES[int(kind)] == name


def test_hparams_keep_what_a_verdict_may_need() -> None:
    metadata: dict[str, MetadataValue] = {
        "gemma3.attention.sliding_window_pattern": (True, False),
        "nemotron_h.attention.head_count_kv": (0, 8, 0),
        "llama.vocab_size": 128_256,
        "general.description": "x" * 257,
        "general.author": "one\nline \x1b[31m",
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.token_type": (1, 2, 3),
        "tokenizer.ggml.tokens": ArrayInfo(8, 5),
    }

    header = header_of([file(metadata)])

    assert header.vocabulary_size == 128_256
    assert dict(header.hparams) == {
        "general.architecture": "llama",
        "gemma3.attention.sliding_window_pattern": (True, False),
        "nemotron_h.attention.head_count_kv": (0, 8, 0),
        "llama.vocab_size": 128_256,
        "general.author": "one line [31m",
        "tokenizer.ggml.bos_token_id": 1,
    }


values = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.text(),
    st.builds(ArrayInfo, st.just(8), st.integers(0)),
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["general.architecture", "general.name", "general.file_type", "llama.context_length",
             "llama.vocab_size", "tokenizer.ggml.tokens", "tokenizer.chat_template", "split.count"]
        ),
        values,
    )
)  # fmt: skip
def test_no_type_of_a_value_breaks_it(metadata: dict[str, MetadataValue]) -> None:
    try:
        header = header_of([file(metadata)])
    except FormatError:
        return
    assert header.context_length >= 0
    assert header.name == clean_line(header.name)
    assert header.architecture
