"""Asks llama.cpp what a model would take, without loading it: the child process.

It reads one question per line from standard input, JSON with the model's path and the plan, and
answers each with a line of JSON: the lines that llama.cpp prints (a device, then MiB of weights,
of caches and of compute buffers), or how it ended. Each question has a forked child of its own, so
that a failed assertion ends that question only.

``common_fit_print`` is llama.cpp's own (``common/fit.cpp``, behind ``llama-fit-params -fitp``): it
reads the header, sets ``no_alloc`` and ``load_mode`` NONE, makes the context and sums its buffers.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping
from tempfile import TemporaryFile
from typing import IO, Any, Final

from modeldeck.engines.workers.cuda_stand_in import add_stand_in
from modeldeck.engines.workers.llama_cpp_model import EXPERTS_PATTERN
from modeldeck.engines.workers.llama_library import open_library, require_known_layout

_PRINT: Final = "_Z16common_fit_printPKcP18llama_model_paramsP20llama_context_params"
_LONGEST_SECONDS: Final = 60
_MOST_BYTES: Final = 1 << 18
_NICE: Final = 5
_ERROR: Final = 4  # ggml.h, ggml_log_level
# Numbers of ggml.h.
KV_TYPES: Final = {
    "f32": 0,
    "f16": 1,
    "q4_0": 2,
    "q4_1": 3,
    "q5_0": 6,
    "q5_1": 7,
    "q8_0": 8,
    "iq4_nl": 20,
    "bf16": 30,
}

# llama.h, llama_split_mode
_SPLIT_MODES: Final = {"none": 0, "layer": 1, "row": 2, "tensor": 3}
_MOST_DEVICES: Final = 128


class _Override(ctypes.Structure):
    _fields_ = (("pattern", ctypes.c_char_p), ("buffer_type", ctypes.c_void_p))


def ask(library: Any, question: Mapping[str, Any]) -> None:
    """Print what one plan would take. Dies where llama.cpp does."""
    # Kept to the end: the library points into it.
    stand_in = question["stand_in"] and add_stand_in(library, question["stand_in"])
    model = library.llama_model_default_params()
    model.n_gpu_layers = question["gpu_layers"]
    model.use_extra_bufts = False
    overrides = (_Override * 2)()
    if question["cpu_moe_blocks"]:
        blocks = "|".join(map(str, range(question["cpu_moe_blocks"])))
        library.ggml_backend_cpu_buffer_type.restype = ctypes.c_void_p
        overrides[0].pattern = EXPERTS_PATTERN.format(blocks).encode()
        overrides[0].buffer_type = library.ggml_backend_cpu_buffer_type()
        model.tensor_buft_overrides = ctypes.addressof(overrides)
    each = (ctypes.c_float * _MOST_DEVICES)()
    if question["split"] and question["gpu_layers"]:
        mode, shares, _ = question["split"]
        model.split_mode = _SPLIT_MODES[mode]
        model.main_gpu = shares.index(max(shares)) if mode == "none" else 0
        each[: len(shares)] = shares
        model.tensor_split = None if mode == "none" else ctypes.addressof(each)
    context = library.llama_context_default_params()
    context.n_ctx, context.n_seq_max = question["context_tokens"], question["slots"]
    context.n_batch = question["batch_tokens"]
    context.n_ubatch = question["micro_batch_tokens"]
    context.n_outputs_max = question["outputs"]
    context.flash = int(question["flash_attention"])
    context.type_k = context.type_v = KV_TYPES[question["kv_type"]]
    context.swa_full, context.kv_unified = question["swa_full"], question["unified"]
    context.offload_kqv = context.op_offload = question["gpu_layers"] != 0
    path = os.fsencode(question["path"])
    getattr(library, _PRINT)(path, ctypes.byref(model), ctypes.byref(context))
    ctypes.CDLL(None).fflush(None)
    del stand_in


def _in_a_child(library: Any, question: Mapping[str, Any]) -> dict[str, str]:
    with TemporaryFile() as said, TemporaryFile() as problems:
        child = os.fork()
        if not child:
            os.dup2(said.fileno(), 1)
            os.dup2(problems.fileno(), 2)
            signal.alarm(_LONGEST_SECONDS)
            ask(library, question)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        return {"said": _text(said) if not status else "", "problem": _text(problems)[-2000:]}


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_MOST_BYTES).decode("utf-8", "replace")


def main() -> None:
    """Questions in, answers out, until our parent closes standard input."""
    os.nice(_NICE)
    library = open_library(sys.argv[1])
    require_known_layout(library)

    def hear(level: int, text: bytes, _: object) -> None:
        if level == _ERROR:
            os.write(2, text)

    log = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(hear)
    library.llama_log_set(log, None)
    for line in sys.stdin:
        print(json.dumps(_in_a_child(library, json.loads(line))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
