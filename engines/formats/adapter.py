"""What a GGUF of an adapter (LoRA) says of itself: for which models it is, and its bytes.

Source: llama.cpp ``llama-adapter.cpp``. An adapter has two matrices for each tensor it changes,
``.lora_a`` and ``.lora_b``; they are kept where that tensor is, vectors of norms nowhere.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.gguf import GgufFile
from modeldeck.engines.formats.header import weight_table
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import WeightTable

_PART: Final = re.compile(r"\.lora_[ab]$")


class AdapterSizes(NamedTuple):
    """What is known of an adapter.

    Attributes:
        architecture: of the models that it is for.
        weights: its matrices, by where the tensors are that they change.
    """

    architecture: str
    weights: WeightTable


def is_adapter(file: GgufFile) -> bool:
    """Whether the file is an adapter at all."""
    return file.metadata.get("general.type") == "adapter"


def adapter_sizes(file: GgufFile) -> AdapterSizes:
    """The sizes of an adapter.

    Raises:
        FormatError: it is none, or none that llama.cpp applies.
    """
    if not is_adapter(file):
        raise FormatError(
            "The file is no adapter.", "Name a GGUF made by llama.cpp's convert_lora_to_gguf.py."
        )
    kind = file.metadata.get("adapter.type")
    if kind != "lora":
        raise FormatError(
            f"The adapter is of the kind “{clean_line(str(kind), 40)}”, which is not applied.",
            "Get a LoRA.",
        )
    parts = [tensor for tensor in file.tensors if not tensor.name.endswith("_norm.weight")]
    if not parts or not all(_PART.search(tensor.name) for tensor in parts):
        raise FormatError(
            "The adapter has other tensors than those of a LoRA.",
            "Convert it again with llama.cpp's convert_lora_to_gguf.py.",
        )
    architecture = file.metadata.get("general.architecture")
    name = clean_line(architecture, 60) if isinstance(architecture, str) else ""
    return AdapterSizes(name, weight_table(parts))
