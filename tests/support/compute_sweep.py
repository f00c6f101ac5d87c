"""Compute buffers of every architecture beside llama.cpp's own, over all the options that matter.

``make sweep`` runs it and prints what is outside: the widths of a real model of each architecture,
with and without flash attention, four types of cache, micro-batches from 128 to 2048 and contexts
from 4096 to 131072 tokens; by CUDA's rules of size (``cuda_stand_in.py``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from modeldeck.engines.fit import rough
from modeldeck.engines.fit.profiles import LLAMA_SERVER
from modeldeck.engines.fit.shape import Shape, Unjudged
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.sizing_library import packaged_library
from modeldeck.engines.fit.terms import bill, flash_attention_on_cuda, refusal
from modeldeck.engines.types import Plan
from modeldeck.engines.units import MIB
from tests.support.llama_lab import Answer, Asked, ask
from tests.support.llama_table import KV_TYPES, header_from
from tests.support.real_widths import WIDTHS, real_keys

_WAYS: Final = (
    *((True, kv_type) for kv_type in ("f16", "q8_0", "q4_0", "f32")),
    *((False, kv_type) for kv_type in ("f16", "f32")),
)
CONTEXTS: Final = tuple(
    Asked(context_tokens=context, micro_batch_tokens=tokens, flash_attention=flash, kv_type=kv_type)
    for context in (4096, 32768, 131072)
    for tokens in (128, 512, 1024, 2048)
    for flash, kv_type in _WAYS
)


ROUGH: Final = Path(rough.__file__).with_suffix(".toml")
_ROUGH_HEAD: Final = """\
# Architectures of which some plan with a micro-batch up to 512 has a compute buffer that the
# formula misses by more than 5 % and 32 MiB, at the widths of a real model, in one of two builds
# of llama.cpp.
# Written by: make sweep ARGS="--rough .venv/engines/llama.cpp/bin/libllama.so"
"""


class Row(NamedTuple):
    """One plan of one architecture; MiB."""

    architecture: str
    asked: Asked
    gpu_mib: float
    gpu_error_mib: float
    host_mib: float
    host_error_mib: float

    @property
    def outside(self) -> bool:
        """Further off than 5 % and 32 MiB."""
        return _outside(self.gpu_mib, self.gpu_error_mib) or _outside(
            self.host_mib, self.host_error_mib
        )

    def __str__(self) -> str:
        asked = self.asked
        return (
            f"{self.architecture:16} {asked.context_tokens:6} {asked.micro_batch_tokens:4}"
            f" {'flash' if asked.flash_attention else '-':5} {asked.kv_type:4}"
            f"  GPU {self.gpu_mib:9.1f} {self.gpu_error_mib:+8.1f}"
            f"  host {self.host_mib:8.1f} {self.host_error_mib:+8.1f}"
        )


def rows_of(name: str, library: Path, contexts: Sequence[Asked] = CONTEXTS) -> list[Row]:
    """Each plan that llama.cpp takes for this architecture; none where it cannot be built."""
    keys = real_keys(name)
    [answer] = ask(library, [(keys, contexts)], cuda=True)
    if not answer.tensors or len(answer.buffers) != len(contexts):
        return []
    shape = shape_of(header_from(keys, answer))
    assert not isinstance(shape, Unjudged), shape.why
    return list(_rows(name, shape, contexts, answer))


def _rows(name: str, shape: Shape, contexts: Sequence[Asked], answer: Answer) -> list[Row]:
    found: list[Row] = []
    for asked, printed in zip(contexts, answer.buffers, strict=True):
        plan = Plan(
            context_tokens=asked.context_tokens,
            kv_type=KV_TYPES[asked.kv_type],
            micro_batch_tokens=asked.micro_batch_tokens,
            flash_attention=asked.flash_attention,
        )
        unavailable = asked.flash_attention and not flash_attention_on_cuda(shape)
        if printed is None or unavailable or refusal(shape, plan):
            continue
        terms = bill(shape, plan, asked.context_tokens, shape.layers, profile=LLAMA_SERVER)
        gpu = printed.get("cuda compute", 0.0)
        host = printed.get("compute", 0.0) + printed.get("output", 0.0)
        off = terms.compute_gpu_bytes / MIB - gpu, terms.compute_host_bytes / MIB - host
        found.append(Row(name, asked, gpu, off[0], host, off[1]))
    return found


def _outside(mib: float, error_mib: float) -> bool:
    return abs(error_mib) > max(32.0, 0.05 * mib)


def write_rough(libraries: Sequence[Path]) -> None:
    """Write the packaged list anew: architectures with plans outside that are of the usual kind."""
    usual = tuple(asked for asked in CONTEXTS if asked.micro_batch_tokens <= rough.USUAL_TOKENS)
    names = [
        name
        for name in sorted(WIDTHS)
        if any(row.outside for library in libraries for row in rows_of(name, library, usual))
    ]
    ROUGH.write_text(rough_text(names), encoding="utf-8")


def rough_text(names: Sequence[str]) -> str:
    """The list as it is packaged."""
    listed = "".join(f'    "{name}",\n' for name in names)
    return f"{_ROUGH_HEAD}architectures = [\n{listed}]\n"


def main(words: Sequence[str]) -> None:
    """Sweep over some architectures, or all; a library may stand before their names.

    ``--rough`` first: the packaged list of those with plans outside is written anew, with this
    library beside the packaged one.
    """
    library = packaged_library()
    if words[:1] == ["--rough"]:
        write_rough([one for one in (library, *map(Path, words[1:])) if one is not None])
        return
    if words and Path(words[0]).is_file():
        library, words = Path(words[0]).resolve(), words[1:]
    assert library is not None
    count = outside = 0
    for name in words or sorted(WIDTHS):
        rows = rows_of(name, library)
        wrong = [row for row in rows if row.outside]
        count, outside = count + len(rows), outside + len(wrong)
        print(*wrong, f"{name}: {len(wrong)} of {len(rows)} outside", sep="\n", flush=True)
    print(f"{outside} of {count} plans are outside 5 % and 32 MiB")


if __name__ == "__main__":
    main(sys.argv[1:])
