"""Asks llama.cpp's own library what a made-up model takes: no file, no weights, only keys.

``llama_model_init_from_user`` makes every tensor that an architecture needs from its keys alone;
a context over it allocates the caches and reserves the graph, and the log says how large they are.
Each model is built in a forked child, so that an assertion in there ends one question only.

Run as a program it reads one question per line from standard input and answers each with a line.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldeck.engines.workers.cuda_stand_in import add_stand_in
from modeldeck.engines.workers.dry_run import KV_TYPES
from modeldeck.engines.workers.llama_library import open_library

Key = int | float | bool | str | list[int]

_LONGEST_SECONDS = 30
_KINDS = ("model", "KV", "RS", "compute", "output")


@dataclass(frozen=True)
class Asked:
    """One context over a model."""

    context_tokens: int = 4096
    micro_batch_tokens: int = 512
    slots: int = 1
    flash_attention: bool = True
    kv_type: str = "f16"
    swa_full: bool = False
    unified: bool = True


@dataclass(frozen=True)
class Answer:
    """What llama.cpp says of one model.

    Attributes:
        tensors: name, bytes, type and shape of every tensor.
        buffers: for each context asked for, MiB by kind (``model``, ``KV``, ``RS``, ``compute``,
            ``output``), with ``cuda`` before those on a card; None where it has no such context.
        log: the end of what it printed.
    """

    tensors: tuple[tuple[str, int, int, tuple[int, ...]], ...]
    buffers: tuple[Mapping[str, float] | None, ...]
    log: str


def ask(
    library: Path,
    questions: Sequence[tuple[Mapping[str, Key], Sequence[Asked]]],
    *,
    cuda: bool = False,
) -> list[Answer]:
    """Answers in the order of the questions, from one child process.

    With ``cuda`` all layers are on a device that is sized as by CUDA; else all is on the CPU.
    """
    words = [str(library), *(["cuda"] if cuda else [])]
    lines = [
        json.dumps({"keys": dict(keys), "contexts": [vars(asked) for asked in contexts]})
        for keys, contexts in questions
    ]
    done = subprocess.run(
        [sys.executable, __file__, *words],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    return [_answer(json.loads(line)) for line in done.stdout.splitlines()]


def _answer(record: Mapping[str, Any]) -> Answer:
    return Answer(
        tensors=tuple((n, size, kind, tuple(shape)) for n, size, kind, shape in record["tensors"]),
        buffers=tuple(record["buffers"]),
        log=record["log"],
    )


class _Lab:
    """The library, loaded."""

    def __init__(self, path: str, *, cuda: bool = False) -> None:
        library = open_library(path)
        self.library = library
        self.stand_in = add_stand_in(library, "CUDA0") if cuda else None
        if cuda and self.stand_in is None:
            raise SystemExit("this llama.cpp takes no such device")
        self.heard: list[str] = []
        for name in (
            "gguf_init_empty",
            "llama_model_init_from_user",
            "llama_init_from_model",
            "ggml_get_name",
        ):
            getattr(library, name).restype = ctypes.c_void_p
        library.ggml_nbytes.restype = ctypes.c_size_t
        log_type = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)

        def hear(_level: int, text: bytes, _data: object) -> None:
            self.heard.append(text.decode(errors="replace"))

        self._log = log_type(hear)
        library.llama_log_set(self._log, None)

    def metadata(self, keys: Mapping[str, Key]) -> ctypes.c_void_p:
        """Keys as the library keeps them."""
        library = self.library
        made = ctypes.c_void_p(library.gguf_init_empty())
        for key, value in keys.items():
            name = key.encode()
            if isinstance(value, bool):
                library.gguf_set_val_bool(made, name, ctypes.c_bool(value))
            elif isinstance(value, int):
                library.gguf_set_val_u32(made, name, ctypes.c_uint32(value))
            elif isinstance(value, float):
                library.gguf_set_val_f32(made, name, ctypes.c_float(value))
            elif isinstance(value, str):
                library.gguf_set_val_str(made, name, value.encode())
            else:
                numbers = (ctypes.c_uint32 * len(value))(*value)
                library.gguf_set_arr_data(made, name, 4, numbers, ctypes.c_size_t(len(value)))
        return made

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """One model and all contexts over it."""
        library = self.library
        tensors: list[tuple[str, int, int, list[int]]] = []

        def made(tensor: int, _data: object) -> None:
            # ggml_tensor begins with its type, its buffer and its shape.
            head = ctypes.string_at(tensor, 48)
            name = ctypes.string_at(library.ggml_get_name(ctypes.c_void_p(tensor))).decode()
            size = library.ggml_nbytes(ctypes.c_void_p(tensor))
            kind, *shape = struct.unpack("<I12x4q", head)
            while len(shape) > 1 and shape[-1] == 1:
                shape.pop()
            tensors.append((name, size, kind, shape))

        callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(made)
        params = library.llama_model_default_params()
        params.n_gpu_layers = 999 if self.stand_in else 0
        params.use_extra_bufts = False
        model = ctypes.c_void_p(
            library.llama_model_init_from_user(
                self.metadata(question["keys"]), callback, None, params
            )
        )
        buffers: list[dict[str, float] | None] = []
        weights = _printed(self.heard)
        if model:
            for asked in question["contexts"]:
                self.heard.clear()
                buffers.append(self._context(model, Asked(**asked), weights))
        return {"tensors": tensors, "buffers": buffers, "log": "".join(self.heard)[-1500:]}

    def _context(
        self, model: ctypes.c_void_p, asked: Asked, weights: Mapping[str, float]
    ) -> dict[str, float] | None:
        params = self.library.llama_context_default_params()
        params.n_ctx, params.n_seq_max = asked.context_tokens, asked.slots
        params.n_batch, params.n_ubatch = 2048, asked.micro_batch_tokens
        params.n_outputs_max = asked.slots
        params.flash = int(asked.flash_attention)
        params.type_k = params.type_v = KV_TYPES[asked.kv_type]
        params.swa_full, params.kv_unified = asked.swa_full, asked.unified
        self.library.llama_init_from_model.argtypes = [ctypes.c_void_p, type(params)]
        context = ctypes.c_void_p(self.library.llama_init_from_model(model, params))
        if not context:
            return None
        found = {**weights, **_printed(self.heard)}
        self.library.llama_free(context)
        return found


def _printed(heard: Iterable[str]) -> dict[str, float]:
    """Sizes by kind, over all buffers: ``CPU KV buffer size =     4.00 MiB``."""
    found: Counter[str] = Counter()
    for line in "".join(heard).splitlines():
        for kind in _KINDS:
            if sized := re.search(rf"\b{kind} buffer size = +([\d.]+) MiB", line):
                on_card = "cuda " if "CUDA0" in line else ""
                found[on_card + kind] += float(sized[1])  # type: ignore[assignment]
    return dict(found)


def _in_a_child(lab: _Lab, question: Mapping[str, Any]) -> str:
    """The answer as JSON; an empty one when the child died of it."""
    readable, writable = os.pipe()
    last_words = os.memfd_create("last words")
    child = os.fork()
    if not child:
        os.close(readable)
        os.dup2(last_words, 1)
        os.dup2(last_words, 2)
        signal.alarm(_LONGEST_SECONDS)
        with os.fdopen(writable, "w") as pipe:
            json.dump(lab.answer(question), pipe)
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    with os.fdopen(last_words, "rb") as words:
        words.seek(0)
        log = words.read().decode(errors="replace")[:1500]
    return said or json.dumps({"tensors": [], "buffers": [], "log": f"it died: {log}"})


def main() -> None:
    """Questions in, answers out."""
    lab = _Lab(sys.argv[1], cuda="cuda" in sys.argv[2:])
    for line in sys.stdin:
        print(_in_a_child(lab, json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
