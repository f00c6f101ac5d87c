"""Each tool that quantises says so in its own way; a person reads one label."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.formats.quantisation import quantisation_of, quantisation_of_weights
from modeldeck.engines.text import UNSAFE
from modeldeck.engines.types import ModelFormat

F = ModelFormat
NVFP4_GROUP = {"weights": {"num_bits": 4, "type": "float"}}
FP8_GROUP = {"weights": {"num_bits": 8, "type": "float"}, "input_activations": {"num_bits": 8}}
W4_GROUP = {"weights": {"num_bits": 4, "type": "int", "group_size": 128}}
W8_GROUP = {"weights": {"num_bits": 8, "type": "int"}, "input_activations": {"num_bits": 8}}


@pytest.mark.parametrize(
    ("table", "format_", "label"),
    [
        ({"quant_method": "exl2", "bits": 4.25, "head_bits": 6}, F.EXL2, "EXL2 4.25 bpw"),
        ({"quant_method": "exl3", "bits": 3.0, "head_bits": 6}, F.EXL3, "EXL3 3 bpw"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, F.GPTQ, "GPTQ 4-bit g128"),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, F.GPTQ, "GPTQ 8-bit"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, F.AWQ, "AWQ 4-bit"),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
            F.BITSANDBYTES,
            "NF4",
        ),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"}, F.BITSANDBYTES, "FP4"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, F.BITSANDBYTES, "INT8"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, F.FP8, "FP8"),
        ({"quant_method": "fbgemm_fp8"}, F.FP8, "FP8"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, F.NVFP4, "NVFP4"),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, F.FP8, "FP8"),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 128}, F.AUTOROUND, None),
        ({"quant_method": "intel/auto-round", "bits": 2}, F.AUTOROUND, "AutoRound 2-bit"),
        ({"quant_method": "inc", "bits": 4}, F.NEURAL_COMPRESSOR, "INC 4-bit"),
        (
            {
                "quant_method": "compressed-tensors",
                "format": "nvfp4-pack-quantized",
                "config_groups": {"group_0": NVFP4_GROUP},
            },
            F.NVFP4,
            "NVFP4",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "format": "float-quantized",
                "config_groups": {"group_0": FP8_GROUP},
            },
            F.FP8,
            "FP8",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "format": "pack-quantized",
                "config_groups": {"group_0": W4_GROUP},
            },
            F.COMPRESSED_TENSORS,
            "W4A16",
        ),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"group_0": W8_GROUP}},
            F.COMPRESSED_TENSORS,
            "W8A8",
        ),
        ({"quant_method": "mxfp4"}, F.SAFETENSORS, "MXFP4"),
        ({"quant_method": "hqq", "bits": 3}, F.SAFETENSORS, "HQQ"),
    ],
)
def test_config_json_says_how(
    table: Mapping[str, object], format_: ModelFormat, label: str | None
) -> None:
    found = quantisation_of({"model_type": "llama", "quantization_config": table})
    assert found is not None
    assert found.format is format_
    assert found.label == (label or "AutoRound 4-bit g128")


@pytest.mark.parametrize(
    ("own_file", "format_", "label"),
    [
        ({"bits": 4, "group_size": 32, "desc_act": True}, F.GPTQ, "GPTQ 4-bit g32"),
        ({"w_bit": 4, "q_group_size": 128, "version": "GEMM"}, F.AWQ, "AWQ 4-bit"),
        ({"quant_method": "exl3", "bits": 5}, F.EXL3, "EXL3 5 bpw"),
        (
            {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4"}},
            F.NVFP4,
            "NVFP4",
        ),
    ],
)
def test_older_tools_leave_a_file_of_their_own(
    own_file: Mapping[str, object], format_: ModelFormat, label: str
) -> None:
    found = quantisation_of({"model_type": "llama"}, own_file)
    assert found is not None
    assert (found.format, found.label) == (format_, label)


def test_mlx_is_known_by_its_table_without_a_method() -> None:
    table = {"group_size": 64, "bits": 4}
    for config in ({"quantization": table}, {"quantization": table, "quantization_config": table}):
        found = quantisation_of(config)
        assert found is not None
        assert (found.format, found.label) == (F.MLX, "MLX 4-bit")


@pytest.mark.parametrize(
    ("dtypes", "endings", "format_", "label"),
    [
        ({"BF16": 900, "F32": 10}, {"weight"}, F.SAFETENSORS, "BF16"),
        ({"F16": 9}, {"weight"}, F.SAFETENSORS, "F16"),
        ({"F8_E4M3": 9, "BF16": 2}, {"weight"}, F.FP8, "FP8"),
        ({"I32": 9}, {"q_weight", "q_scale"}, F.EXL2, "EXL2"),
        ({"I16": 9}, {"trellis", "suh"}, F.EXL3, "EXL3"),
        ({"I32": 9}, {"qweight", "g_idx", "scales"}, F.GPTQ, "GPTQ"),
        ({"I32": 9}, {"qweight", "qzeros", "scales"}, F.AWQ, "AWQ"),
    ],
)
def test_where_nothing_says_how_the_weights_do(
    dtypes: Mapping[str, int], endings: set[str], format_: ModelFormat, label: str
) -> None:
    assert quantisation_of({"model_type": "llama"}) is None
    found = quantisation_of_weights(dtypes, frozenset(endings))
    assert (found.format, found.label) == (format_, label)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["bits", "quant_method", "group_size", "config_groups", "quant_algo", "format", "w_bit"]
)
METHODS = st.sampled_from(["exl2", "gptq", "awq", "modelopt", "compressed-tensors", "\x1b[31mx"])


@given(st.dictionaries(KEYS, JSON | METHODS, max_size=7))
def test_whatever_the_table_holds_the_label_is_a_short_clean_line(table: dict[str, object]) -> None:
    found = quantisation_of({"quantization_config": table}, table)
    if found is not None:
        assert 0 < len(found.label) <= 24
        assert not UNSAFE.search(found.label)
        assert 0 <= found.weight_bits <= 32
