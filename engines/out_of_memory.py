"""What an engine's log says when memory ran out: for what, of which memory, and how much. Pure.

llama.cpp's lines are from ``ggml-cuda.cu``, ``ggml-vulkan.cpp``, ``ggml-metal``, ``ggml-sycl.cpp``,
``ggml-backend.cpp``, ``ggml-alloc.c``, ``ggml.c`` and ``llama-*.cpp``; the others from PyTorch's
allocators, vLLM, ExLlama, NumPy and Ollama.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_UNITS: Final = {"BYTES": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_NUMBER: Final = r"(?P<size>[0-9]{1,15}(?:\.[0-9]{1,4})?)"
_SIZED: Final = tuple(
    (re.compile(pattern.replace("<N>", _NUMBER), re.IGNORECASE), unit)
    for pattern, unit in (
        # ggml's own MB are MiB.
        (r"allocating <N> MiB on device \d+: \w+Malloc failed", "MIB"),
        (r"failed to allocate output buffer of size <N> MiB", "MIB"),
        (r"failed to allocate (?:\w+ )?buffer of size <N>", "BYTES"),
        (r"failed to allocate buffer, size = +<N> MiB", "MIB"),
        (r"Device memory allocation of size <N> failed", "BYTES"),
        (r"insufficient memory \(attempted to allocate +<N> MB\)", "MIB"),
        (r"can't allocate <N> Bytes of memory on device", "BYTES"),
        (r"Tried to allocate <N> (?P<unit>bytes|[KMGT]i?B)", ""),
        (r"you tried to allocate <N> bytes", "BYTES"),
        (r"Unable to allocate <N> (?P<unit>[KMGT]iB) for an array", ""),
        (r"\(<N> (?P<unit>[KMGT]i?B) KV cache is needed", ""),
        (r"requires more system memory \(<N> (?P<unit>[KMGT]i?B)\)", ""),
    )
)

_SIGNS: Final = re.compile(
    r"Malloc failed: out of memory"
    r"|(?:CUDA|ROCm|HIP|MUSA) error(?: 2)?(?: at [^:]*:\d+)?: out of memory"
    r"|\b(?:CUDA|HIP|XPU|MPS backend) out of memory|OutOfMemoryError|CUDA_ERROR_OUT_OF_MEMORY"
    r"|CUBLAS_STATUS_ALLOC_FAILED|OutOf(?:Device|Host)Memory|OUT_OF_(?:DEVICE|HOST)_MEMORY"
    r"|CallbackErrorOutOfMemory|std::bad_alloc|Cannot allocate memory|\bMemoryError\b"
    r"|Insufficient VRAM|No available memory for the cache blocks"
    r"|larger than the available KV cache memory|less than desired GPU memory utilization"
    r"|requires more system memory|unable to allocate \w+ buffer"
    r"|failed to allocate (?:compute|output|buffer|\w+ buffer)"
)

_PASSING: Final = re.compile(
    r"pinned memory|\bm(?:un)?lock|VirtualLock|recommended max working set", re.IGNORECASE
)
"""What an engine warns of and then does without."""

_HOST: Final = re.compile(
    r"aligned_malloc|cpu_buffer_type|\bCPU\w* buffer|CPUAllocator|bad_alloc|(?<!OutOf)MemoryError"
    r"|OutOfHostMemory|OUT_OF_HOST|system memory|Cannot allocate memory|for an array"
)

_WHAT: Final = (
    (
        r"buffer for kv cache|kv_cache_init\(\) failed|KV cache is needed|cache blocks",
        "the KV cache",
    ),
    (r"KV cache memory", "the KV cache"),
    (r"buffer for rs cache", "the recurrent state"),
    (r"buffer for lora", "the adapter"),
    (r"output buffer", "the logits"),
    (r"failed to allocate compute|gallocr_reserve", "the compute buffer"),
    (
        r"exceeds device (?:memory allocation|buffer size) limit",
        "a buffer larger than its driver allows",
    ),
    (r"unable to allocate \w+ buffer|alloc_tensor_range|alloc_ctx_tensors", "the weights"),
    (r"mmap failed", "mapping the file"),
    (r"model and cache", "the model and its cache"),
)


@dataclass(frozen=True, slots=True)
class Shortage:
    """Memory ran out.

    Attributes:
        what: what it was for, in words.
        asked_bytes: of the allocation that failed; 0 when the log does not say.
        on_host: it was the host's memory, not the card's.
    """

    what: str
    asked_bytes: int
    on_host: bool = False


def shortage_of(lines: Sequence[str]) -> Shortage | None:
    """What an engine's log says ran out; None when the load failed for another reason.

    The last allocation that failed counts: llama.cpp tries some again with less.
    """
    told = [line for line in lines if not _PASSING.search(line)]
    signs = [line for line in told if _SIGNS.search(line) or _asked(line)]
    if not signs:
        return None
    asked = [(size, line) for line in signs if (size := _asked(line))]
    size_bytes, where = asked[-1] if asked else (0, signs[-1])
    text = "\n".join(told)
    what = next((words for mark, words in _WHAT if re.search(mark, text)), "a buffer")
    return Shortage(what, size_bytes, bool(_HOST.search(where)))


def _asked(line: str) -> int:
    """Bytes of the allocation that a line says failed; 0: none."""
    for pattern, unit in _SIZED:
        if found := pattern.search(line):
            named = unit or found["unit"].upper()
            factor = _UNITS.get(named) or _UNITS[f"{named[0]}IB"]
            return round(float(found["size"]) * factor)
    return 0
