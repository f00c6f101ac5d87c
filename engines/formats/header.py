"""A model's header out of the GGUF headers of its files. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.ggml_types import FILE_TYPES, GGML_TYPES
from modeldeck.engines.formats.gguf import ArrayInfo, GgufFile, MetadataValue, TensorInfo
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import BlockWeights, HParam, ModelHeader, WeightTable

_BLOCK: Final = re.compile(r"^(?:enc\.|dec\.)?blk\.(\d{1,6})\.")
_EXPERT: Final = re.compile(r"\.ffn_(?:up|down|gate|gate_up)_(?:ch|)exps\b")
_HOST_ONLY: Final = ("per_layer_token_embd.", "position_embd.", "token_types.")
_WITH_FIRST: Final = ("token_embd_norm.", "per_layer_model_proj.", "per_layer_proj_norm.")
_OUTPUT: Final = ("output.", "output_norm.")
_GUESSED: Final = 1024
_ROW_ELEMENTS: Final = 512
_ALIGNMENT: Final = 128
_TEXT_LIMIT: Final = 256


def header_of(parts: Sequence[GgufFile]) -> ModelHeader:
    """What the files of one model say together, in the order of their numbers.

    A key of the wrong type is as good as a missing one. All but the tensors is taken from the
    first file, as llama.cpp does.

    Raises:
        FormatError: the parts are not all there or not of one model, or there is no model in them.
    """
    metadata = parts[0].metadata
    tensors = [tensor for part in parts for tensor in part.tensors]
    _check_split(parts, tensors)
    architecture = clean_line(_text(metadata, "general.architecture"), 60)
    if not architecture:
        raise FormatError(
            "The file does not say which architecture its model has.",
            "Get another conversion of the model.",
        )
    if not tensors:
        raise FormatError(
            "The file holds no weights, only a vocabulary.", "Get the file with the weights."
        )
    vocabulary = _whole(metadata, f"{architecture}.vocab_size")
    tokens = metadata.get("tokenizer.ggml.tokens")
    if not vocabulary and isinstance(tokens, ArrayInfo):
        vocabulary = tokens.length
    return ModelHeader(
        architecture=architecture,
        name=clean_line(_text(metadata, "general.name"), 120),
        parameters=sum(tensor.elements for tensor in tensors),
        quantisation=_quantisation(metadata, tensors),
        context_length=_whole(metadata, f"{architecture}.context_length"),
        vocabulary_size=vocabulary,
        has_chat_template=bool(_text(metadata, "tokenizer.chat_template")),
        hparams=_hparams(metadata),
        weights=weight_table(tensors),
        tensor_count=len(tensors),
    )


def _check_split(parts: Sequence[GgufFile], tensors: Sequence[TensorInfo]) -> None:
    """``gguf-split`` writes into each part its number, how many there are, and all tensors."""
    for number, part in enumerate(parts):
        count = _whole(part.metadata, "split.count") or 1
        if count != len(parts):
            raise FormatError(
                f"This is 1 of {count} parts of a model, and the others are not beside it.",
                "Put all parts into one folder, with the names they were published under.",
            )
        if count > 1 and _whole(part.metadata, "split.no") != number:
            raise FormatError(
                f"Part {number + 1} is another part of the model under a wrong name.",
                "Download the parts again.",
            )
    promised = _whole(parts[0].metadata, "split.tensors.count")
    if len(parts) > 1 and promised and promised != len(tensors):
        raise FormatError(
            f"The parts hold {len(tensors)} tensors of {promised}: they are not of one model.",
            "Download the parts again.",
        )


def _text(metadata: Mapping[str, MetadataValue], key: str) -> str:
    value = metadata.get(key)
    return value if isinstance(value, str) else ""


def _whole(metadata: Mapping[str, MetadataValue], key: str) -> int:
    value = metadata.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _quantisation(metadata: Mapping[str, MetadataValue], tensors: Sequence[TensorInfo]) -> str:
    number = metadata.get("general.file_type")
    if isinstance(number, int) and not isinstance(number, bool):
        name = FILE_TYPES.get(number & ~_GUESSED)
        if name:
            return name
    bytes_of: Counter[int] = Counter()
    for tensor in tensors:
        bytes_of[tensor.ggml_type] += tensor.size_bytes
    most = bytes_of.most_common(1)[0][0]
    return GGML_TYPES[most].name if most in GGML_TYPES else f"type {most}"


def _hparams(metadata: Mapping[str, MetadataValue]) -> dict[str, HParam]:
    kept: dict[str, HParam] = {}
    for key, value in metadata.items():
        if isinstance(value, str):
            if len(value) <= _TEXT_LIMIT and key != "tokenizer.chat_template":
                kept[key] = clean_line(value, _TEXT_LIMIT)
        elif isinstance(value, tuple):
            if not key.startswith("tokenizer."):
                kept[key] = value
        elif not isinstance(value, ArrayInfo):
            kept[key] = value
    return kept


def weight_table(tensors: Sequence[TensorInfo]) -> WeightTable:
    """Sum a tensor table by where llama.cpp may put each tensor (``llama-model.cpp``)."""
    dense: Counter[int] = Counter()
    experts: Counter[int] = Counter()
    padding: Counter[int] = Counter()
    expert_padding: Counter[int] = Counter()
    largest = {False: 0, True: 0}
    embedding = host_only = output = other = 0
    output_weight = False
    for tensor in tensors:
        size = tensor.size_bytes
        index = _block_of(tensor.name)
        if index is not None:
            is_expert = bool(_EXPERT.search(tensor.name))
            extra = cuda_padding_bytes(tensor)
            (experts if is_expert else dense)[index] += size
            padding[index] += extra
            expert_padding[index] += extra * is_expert
            largest[is_expert] = max(largest[is_expert], size)
        elif tensor.name.startswith("token_embd."):
            embedding += size
        elif tensor.name.startswith(_HOST_ONLY):
            host_only += size
        elif tensor.name.startswith(_OUTPUT):
            output += size
            output_weight = output_weight or tensor.name == "output.weight"
        else:
            other += size
    indices = sorted(dense.keys() | experts.keys())
    return WeightTable(
        blocks=tuple(
            BlockWeights(i, dense[i], experts[i], padding[i], expert_padding[i]) for i in indices
        ),
        token_embedding_bytes=embedding,
        host_only_bytes=host_only,
        output_bytes=output,
        output_tied=embedding > 0 and not output_weight,
        other_bytes=other,
        largest_matrix_bytes=largest[False],
        largest_expert_bytes=largest[True],
    )


def _block_of(name: str) -> int | None:
    """The block that a tensor goes with; None for one outside of all."""
    if found := _BLOCK.match(name):
        return int(found[1])
    return 0 if name.startswith(_WITH_FIRST) else None


def cuda_padding_bytes(tensor: TensorInfo) -> int:
    """What CUDA adds to a tensor: rows filled up to 512 elements at its end, then 128-byte steps.

    ``ggml_backend_cuda_buffer_type_get_alloc_size``: quantised tensors whose rows are no multiple
    of ``MATRIX_ROW_PADDING`` (512) get one row's worth of padding.
    """
    packing = GGML_TYPES.get(tensor.ggml_type)
    extra = 0
    if packing is not None and packing.is_quantised and (odd := tensor.shape[0] % _ROW_ELEMENTS):
        extra = -(-(_ROW_ELEMENTS - odd) // packing.block_elements) * packing.block_bytes
    padded = tensor.size_bytes + extra
    return -(-padded // _ALIGNMENT) * _ALIGNMENT - tensor.size_bytes
