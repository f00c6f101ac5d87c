"""A model's header out of a folder of safetensors: its configuration and its tensors. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.config import Config, config_of
from modeldeck.engines.formats.quantisation import quantisation_of, quantisation_of_weights
from modeldeck.engines.formats.safetensors import BITS, SafeTensor
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import BlockWeights, ModelHeader, WeightTable

_BLOCK: Final = re.compile(r"(?:^|\.)(?:layers|layer|h|blocks)\.(\d{1,6})\.")
_OTHER_PART: Final = re.compile(
    r"(?:^|\.)(?:vis|vit|image|audio|speech|multi_modal|mm_|mtp|talker)"
)
_EXPERT: Final = re.compile(r"\.experts\.|\.experts_|_experts?\.\d")
_EMBEDDING: Final = re.compile(
    r"(?:^|\.)(?:embed_tokens|wte|word_embeddings|tok_embeddings|embed_in)\."
)
_OUTPUT: Final = re.compile(r"(?:^|\.)(?:lm_head|embed_out|output|norm|final_layernorm|ln_f)\.")
_HEAD: Final = re.compile(r"(?:^|\.)(?:lm_head|embed_out|output)\.")

# What stands beside quantised weights and holds none: scales, zeros, orders, and how to unpack.
_BESIDE: Final = re.compile(
    r"(?:scales?|scale_inv|scale_\d|biases|qzeros|zero_point|g_idx|shape|absmax|quant_map|SCB"
    r"|q_perm|q_invperm|q_groups|q_scale_max|su[h]?|sv[h]?|mcg|mul1)$|quant_state\."
)
_PACKED: Final = frozenset({"U8", "I8", "I16", "U16", "I32", "U32"})
_TRELLIS_WEIGHTS: Final = 256  # of one tile, whatever its bits (exllamav3's ``trellis``)
_MOST_ENDINGS: Final = 256


def header_of_folder(
    whole: Mapping[str, object],
    own_file: Mapping[str, object] | None,
    tensors: Iterable[SafeTensor],
    *,
    has_chat_template: bool = False,
) -> ModelHeader:
    """What a folder says of its model.

    Args:
        whole: its ``config.json``.
        own_file: what the tool that quantised it left beside that, if anything.
        tensors: of all its files; taken one by one, so that none need be held.
        has_chat_template: one lies beside them.

    Raises:
        FormatError: there are no weights, or nothing says what kind of model it is; and whatever
            ``tensors`` raises.
    """
    config = config_of(whole)
    if not config.architecture:
        raise FormatError(
            "Its config.json does not say which kind of model it is.", "Download the model again."
        )
    sums = _Sums(tensors)
    if not sums.count:
        raise FormatError("There are no weights in its files.", "Download the model again.")
    found = quantisation_of(whole, own_file) or quantisation_of_weights(
        sums.dtypes, frozenset(sums.endings)
    )
    name = whole.get("_name_or_path")
    return ModelHeader(
        architecture=config.architecture,
        name=clean_line(name, 120) if isinstance(name, str) else "",
        parameters=sums.parameters(found.weight_bits),
        quantisation=found.label,
        context_length=config.context_length,
        vocabulary_size=config.vocabulary_size,
        has_chat_template=has_chat_template,
        hparams=config.hparams,
        weights=sums.table(config),
        tensor_count=sums.count,
        format=found.format,
    )


class _Sums:
    """The tensors of a model, summed as they are taken."""

    def __init__(self, tensors: Iterable[SafeTensor]) -> None:
        self.count = 0
        self.dtypes: Counter[str] = Counter()
        self.endings: set[str] = set()
        self._plain_elements = 0
        self._packed_bits = 0
        self._dense: Counter[int] = Counter()
        self._experts: Counter[int] = Counter()
        self._embedding = self._output = self._other = 0
        self._has_head = False
        for tensor in tensors:
            self.count += 1
            self.dtypes[tensor.dtype] += tensor.size_bytes
            self._count_elements(tensor)
            self._place(tensor)

    def _count_elements(self, tensor: SafeTensor) -> None:
        ending = tensor.name.rpartition(".")[2][:40]
        if len(self.endings) < _MOST_ENDINGS:
            self.endings.add(ending)
        if ending == "trellis" and len(tensor.shape) == 3:
            self._plain_elements += _TRELLIS_WEIGHTS * tensor.shape[0] * tensor.shape[1]
        elif _BESIDE.search(tensor.name) or tensor.dtype in ("I64", "BOOL"):
            return
        elif tensor.dtype in _PACKED:
            self._packed_bits += tensor.elements * BITS[tensor.dtype]
        else:
            self._plain_elements += tensor.elements

    def _place(self, tensor: SafeTensor) -> None:
        name, size = tensor.name, tensor.size_bytes
        if _OTHER_PART.search(name):
            self._other += size
        elif found := _BLOCK.search(name):
            (self._experts if _EXPERT.search(name) else self._dense)[int(found[1])] += size
        elif _EMBEDDING.search(name):
            self._embedding += size
        elif _OUTPUT.search(name):
            self._output += size
            self._has_head = self._has_head or _HEAD.search(name) is not None
        else:
            self._other += size

    def parameters(self, weight_bits: float) -> int:
        """Weights of the model: those that are packed counted by their own bits."""
        return self._plain_elements + round(self._packed_bits / (weight_bits or 8))

    def table(self, config: Config) -> WeightTable:
        """Where the bytes are; there is no padding to add, which is llama.cpp's."""
        indices = sorted(self._dense.keys() | self._experts.keys())
        return WeightTable(
            blocks=tuple(BlockWeights(i, self._dense[i], self._experts[i], 0) for i in indices),
            token_embedding_bytes=self._embedding,
            output_bytes=self._output,
            output_tied=config.tied and not self._has_head,
            other_bytes=self._other,
        )
