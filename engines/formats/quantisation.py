"""How the weights of a Hugging Face folder are quantised, from what its configuration says. Pure.

Each tool that quantises leaves a table in ``config.json`` (``quantization_config``) or a file of
its own beside it; transformers' ``quantizers/auto.py`` and vLLM's ``quantization/`` read the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from modeldeck.engines.text import clean_line
from modeldeck.engines.types import ModelFormat

_Table = Mapping[str, object]
_LABEL_CHARACTERS: Final = 24


@dataclass(frozen=True, slots=True)
class Quantisation:
    """What was decided.

    Attributes:
        format: which engines can run it.
        label: for people: ``GPTQ 4-bit g128``, ``EXL2 4.25 bpw``, ``NF4``, ``BF16``.
        weight_bits: bits of one quantised weight without its scales; the average where they
            differ; 0 when unknown.
    """

    format: ModelFormat
    label: str
    weight_bits: float = 0


def quantisation_of(config: _Table, own_file: _Table | None = None) -> Quantisation | None:
    """What ``config.json``, or else the tool's own file, says; None when neither says anything.

    Args:
        config: all of ``config.json``.
        own_file: what AutoGPTQ, ExLlama, AutoAWQ or ModelOpt left beside it.
    """
    table = _table(config.get("quantization_config")) or own_file or {}
    if not table:
        return _mlx(_table(config.get("quantization")))
    method = _word(table.get("quant_method"))
    if not method:
        return _mlx(_table(config.get("quantization"))) or _without_method(table)
    known = _METHODS.get(method)
    if known is not None:
        return known(table)
    return Quantisation(
        ModelFormat.SAFETENSORS, clean_line(method.upper(), _LABEL_CHARACTERS), _bits(table)
    )


def quantisation_of_weights(dtypes: Mapping[str, int], endings: frozenset[str]) -> Quantisation:
    """What the weights themselves tell where no configuration does.

    Args:
        dtypes: bytes of weights by type.
        endings: the last words of the tensors' names.
    """
    if "q_weight" in endings:
        return Quantisation(ModelFormat.EXL2, "EXL2")
    if "trellis" in endings:
        return Quantisation(ModelFormat.EXL3, "EXL3")
    if "qweight" in endings:
        if "g_idx" in endings:
            return Quantisation(ModelFormat.GPTQ, "GPTQ")
        return Quantisation(ModelFormat.AWQ, "AWQ")
    most = max(dtypes, key=lambda dtype: dtypes[dtype], default="")
    if most.startswith("F8_E"):
        return Quantisation(ModelFormat.FP8, "FP8", 8)
    return Quantisation(ModelFormat.SAFETENSORS, most)


def _exllama(format_: ModelFormat) -> Callable[[_Table], Quantisation]:
    def of(table: _Table) -> Quantisation:
        bits = _bits(table)
        label = f"{format_.value.upper()} {bits:.4g} bpw" if bits else format_.value.upper()
        return Quantisation(format_, label, bits)

    return of


def _grouped(format_: ModelFormat, title: str) -> Callable[[_Table], Quantisation]:
    """Whole numbers with a scale for each group of weights: GPTQ, AWQ and their kin."""

    def of(table: _Table) -> Quantisation:
        bits = _bits(table)
        return Quantisation(format_, _grouped_label(title, table, bits), bits)

    return of


def _awq(table: _Table) -> Quantisation:
    bits = _bits(table)
    return Quantisation(ModelFormat.AWQ, f"AWQ {bits:.4g}-bit" if bits else "AWQ", bits)


def _bitsandbytes(table: _Table) -> Quantisation:
    if table.get("load_in_8bit") or table.get("_load_in_8bit"):
        return Quantisation(ModelFormat.BITSANDBYTES, "INT8", 8)
    kind = _word(table.get("bnb_4bit_quant_type")) or "fp4"
    return Quantisation(ModelFormat.BITSANDBYTES, "NF4" if kind == "nf4" else "FP4", 4)


def _fp8(_: _Table) -> Quantisation:
    return Quantisation(ModelFormat.FP8, "FP8", 8)


def _mxfp4(_: _Table) -> Quantisation:
    return Quantisation(ModelFormat.SAFETENSORS, "MXFP4", 4)


def _modelopt(table: _Table) -> Quantisation:
    """ModelOpt names its algorithm; in its own file one level further down."""
    algorithm = _word((_table(table.get("quantization")) or table).get("quant_algo"))
    if "nvfp4" in algorithm:
        return Quantisation(ModelFormat.NVFP4, "NVFP4", 4)
    if "fp8" in algorithm:
        return Quantisation(ModelFormat.FP8, "FP8", 8)
    label = clean_line(algorithm.upper(), _LABEL_CHARACTERS) or "ModelOpt"
    return Quantisation(ModelFormat.SAFETENSORS, label, 4 if "w4" in algorithm else 8)


def _compressed_tensors(table: _Table) -> Quantisation:
    """compressed-tensors: each group of layers says the type and bits of its weights."""
    groups = list((_table(table.get("config_groups")) or {}).values())
    group = _table(groups[0]) if groups else None
    weights = _table(group.get("weights")) if group else None
    activations = _table(group.get("input_activations")) if group else None
    packing = _word(table.get("format"))
    bits = _bits(weights) if weights else 0
    if packing.startswith("nvfp4"):
        return Quantisation(ModelFormat.NVFP4, "NVFP4", 4)
    if packing.startswith("float-quantized") or (
        weights and _word(weights.get("type")) == "float" and bits == 8
    ):
        return Quantisation(ModelFormat.FP8, "FP8", 8)
    if not bits:
        return Quantisation(ModelFormat.COMPRESSED_TENSORS, "compressed")
    active = (_bits(activations) if activations else 0) or 16
    return Quantisation(ModelFormat.COMPRESSED_TENSORS, f"W{bits:.4g}A{active:.4g}", bits)


def _mlx(table: _Table | None) -> Quantisation | None:
    """mlx-lm writes ``quantization`` with a group size, and no method."""
    if table is None or not _bits(table):
        return None
    bits = _bits(table)
    return Quantisation(ModelFormat.MLX, f"MLX {bits:.4g}-bit", bits)


def _without_method(table: _Table) -> Quantisation | None:
    """Tables from before methods were named: told by the keys that only one tool writes."""
    if "load_in_4bit" in table or "load_in_8bit" in table:
        return _bitsandbytes(table)
    if "quant_algo" in table or _word((_table(table.get("producer")) or {}).get("name")):
        return _modelopt(table)
    if "config_groups" in table:
        return _compressed_tensors(table)
    if "w_bit" in table:
        return _awq(table)
    if "desc_act" in table or "damp_percent" in table:
        return _METHODS["gptq"](table)
    return None


def _grouped_label(title: str, table: _Table, bits: float) -> str:
    words = [title]
    if bits:
        words.append(f"{bits:.4g}-bit")
    group = table.get("group_size", table.get("q_group_size"))
    if isinstance(group, int) and not isinstance(group, bool) and 0 < group <= 65_536:
        words.append(f"g{group}")
    return " ".join(words)


def _table(value: object) -> _Table | None:
    return cast("dict[str, object]", value) if isinstance(value, dict) and value else None


def _word(value: object) -> str:
    return value.strip().lower()[:80] if isinstance(value, str) else ""


def _bits(table: _Table) -> float:
    """Bits by any of the names that tools have for them; 0 for none, or for nonsense."""
    for key in ("bits", "w_bit", "num_bits", "weight_bits"):
        value = table.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0.5 <= value <= 32:
            return float(value)
    return 0


_METHODS: Final[Mapping[str, Callable[[_Table], Quantisation]]] = {
    "exl2": _exllama(ModelFormat.EXL2),
    "exl3": _exllama(ModelFormat.EXL3),
    "gptq": _grouped(ModelFormat.GPTQ, "GPTQ"),
    "gptq_marlin": _grouped(ModelFormat.GPTQ, "GPTQ"),
    "marlin": _grouped(ModelFormat.GPTQ, "GPTQ"),
    "awq": _awq,
    "awq_marlin": _awq,
    "bitsandbytes": _bitsandbytes,
    "fp8": _fp8,
    "fbgemm_fp8": _fp8,
    "mxfp4": _mxfp4,
    "modelopt": _modelopt,
    "modelopt_fp4": _modelopt,
    "compressed-tensors": _compressed_tensors,
    "compressed_tensors": _compressed_tensors,
    "auto-round": _grouped(ModelFormat.AUTOROUND, "AutoRound"),
    "auto_round": _grouped(ModelFormat.AUTOROUND, "AutoRound"),
    "intel/auto-round": _grouped(ModelFormat.AUTOROUND, "AutoRound"),
    "inc": _grouped(ModelFormat.NEURAL_COMPRESSOR, "INC"),
    "neural_compressor": _grouped(ModelFormat.NEURAL_COMPRESSOR, "INC"),
    "intel_neural_compressor": _grouped(ModelFormat.NEURAL_COMPRESSOR, "INC"),
}
