"""llama.cpp's library by ctypes: the records its functions take, as ``llama.h`` lays them out.

Only for child processes: a failed assertion in there ends the process.
"""

from __future__ import annotations

import ctypes
from typing import Any


class ModelParams(ctypes.Structure):
    """``llama_model_params``."""

    _fields_ = [
        ("devices", ctypes.c_void_p),
        ("tensor_buft_overrides", ctypes.c_void_p),
        ("n_gpu_layers", ctypes.c_int32),
        ("split_mode", ctypes.c_int32),
        ("load_mode", ctypes.c_int32),
        ("lazy_mode", ctypes.c_int32),
        ("main_gpu", ctypes.c_int32),
        ("tensor_split", ctypes.c_void_p),
        ("progress_callback", ctypes.c_void_p),
        ("progress_callback_user_data", ctypes.c_void_p),
        ("kv_overrides", ctypes.c_void_p),
        ("vocab_only", ctypes.c_bool),
        ("check_tensors", ctypes.c_bool),
        ("use_extra_bufts", ctypes.c_bool),
        ("no_host", ctypes.c_bool),
        ("no_alloc", ctypes.c_bool),
        ("load_mtp", ctypes.c_bool),
    ]


class BeforeFlags(ctypes.Structure):
    """``llama_context_params`` as far as its flags."""

    _fields_ = [
        *((name, ctypes.c_uint32) for name in ("n_ctx", "n_batch", "n_ubatch", "n_seq_max")),
        *((name, ctypes.c_uint32) for name in ("n_rs_seq", "n_outputs_max", "n_outputs_seq")),
        *((name, ctypes.c_int32) for name in ("n_threads", "n_threads_batch", "ctx_type")),
        *((name, ctypes.c_int32) for name in ("rope_scaling", "pooling", "attention", "flash")),
        ("rope", ctypes.c_float * 6),
        ("yarn_orig_ctx", ctypes.c_uint32),
        ("defrag_thold", ctypes.c_float),
        ("cb_eval", ctypes.c_void_p),
        ("cb_eval_user_data", ctypes.c_void_p),
        ("type_k", ctypes.c_int32),
        ("type_v", ctypes.c_int32),
        ("abort_callback", ctypes.c_void_p),
        ("abort_callback_data", ctypes.c_void_p),
    ]


class ContextParams(BeforeFlags):
    """``llama_context_params``, with room for what stands behind its flags."""

    _fields_ = [
        *((name, ctypes.c_bool) for name in ("embeddings", "offload_kqv", "no_perf")),
        *((name, ctypes.c_bool) for name in ("op_offload", "swa_full", "kv_unified")),
        ("rest", ctypes.c_void_p * 8),
    ]


class WiderContextParams(BeforeFlags):
    """Later versions have one more pointer before the flags."""

    _fields_ = [
        ("one_more", ctypes.c_void_p),
        *((name, ctypes.c_bool) for name in ("embeddings", "offload_kqv", "no_perf")),
        *((name, ctypes.c_bool) for name in ("op_offload", "swa_full", "kv_unified")),
        ("rest", ctypes.c_void_p * 8),
    ]


def open_library(path: str) -> Any:
    """The library with the types of its default parameters set, its backends started."""
    library = ctypes.CDLL(path)
    library.llama_model_default_params.restype = ModelParams
    library.llama_context_default_params.restype = ContextParams
    # Of the flags these two are on by default; where they are not, they lie elsewhere.
    known = library.llama_context_default_params()
    if not (known.offload_kqv and known.op_offload):
        library.llama_context_default_params.restype = WiderContextParams
    library.llama_backend_init()
    return library


def require_known_layout(library: Any) -> None:
    """End the program where the records above are not this library's: their defaults show it."""
    model, context = library.llama_model_default_params(), library.llama_context_default_params()
    f16 = 1
    known = (
        (model.main_gpu, model.check_tensors, model.use_extra_bufts) == (0, False, True)
        and -1 <= model.n_gpu_layers <= 999
        and (context.n_ctx, context.n_batch, context.n_ubatch) == (512, 2048, 512)
        and (context.n_seq_max, context.type_k, context.type_v) == (1, f16, f16)
    )
    if not known:
        raise SystemExit("this llama.cpp has records of another layout")
