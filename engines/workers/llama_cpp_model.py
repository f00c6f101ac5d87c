"""One model in llama.cpp through ``llama_cpp``'s low-level bindings: for the worker's process only.

Function and field names are those of ``llama.h``. The bindings have no types, hence ``Any``.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from modeldeck.engines.workers.llama_cpp_sight import (
    Patch,
    Sight,
    Unit,
    Unreadable,
    positions_in,
    tokens_in,
)

_MOST_PIECE_BYTES: Final = 512
_NS_PER_MS: Final = 1e6
_ABORTED: Final = 2
_NO_ROOM: Final = 1
EXPERTS_PATTERN: Final = r"blk\.({})\.ffn_(up|down|gate|gate_up)_(ch|)exps"
"""The routed experts of some blocks, as ``--n-cpu-moe`` names them."""

# llama-server's defaults, so that both engines draw alike (common/common.h).
DEFAULT_SAMPLING: Final[Mapping[str, float]] = {
    "temperature": 0.8,
    "top_k": 40,
    "top_p": 0.95,
    "min_p": 0.05,
    "repeat_penalty": 1.0,
}
_PENALTY_TOKENS: Final = 64


class NotLoaded(Exception):
    """llama.cpp said no; the log says why."""


class Stopped(Exception):
    """What was being computed was called off."""


class ContextFull(Exception):
    """There is no room for another token."""


@dataclass(frozen=True, slots=True)
class Perf:
    """llama.cpp's own clock since the last reset, in nanoseconds (``llama_perf_context``)."""

    prefill_ns: int
    decode_ns: int


def bindings() -> Any:
    """The module ``llama_cpp.llama_cpp``."""
    return importlib.import_module("llama_cpp.llama_cpp")  # no types; 0.5 s, with numpy


class LlamaModel:
    """A loaded model with one context and one sequence."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        on_progress: Callable[[float], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Load it.

        Args:
            settings: the plan: ``path`` and the fields of ``Plan``, threads resolved.
            on_progress: told the share of the weights that is read.
            should_stop: asked all the time while a batch is computed.

        Raises:
            NotLoaded: llama.cpp refused the file or the plan.
        """
        self._lib = lib = bindings()
        lib.llama_log_set(lib.llama_log_callback(), None)  # all of it, on stderr
        lib.llama_backend_init()
        self._keep: list[object] = []  # what C holds pointers to
        self._model = lib.llama_model_load_from_file(
            str(settings["path"]).encode("utf-8", "surrogateescape"),
            self._model_params(settings, on_progress),
        )
        if not self._model:
            raise NotLoaded("the model")
        self._context = lib.llama_init_from_model(
            self._model, self._context_params(settings, should_stop)
        )
        if not self._context:
            raise NotLoaded("the context")
        self._memory = lib.llama_get_memory(self._context)
        self._position = 0
        self._vocab = lib.llama_model_get_vocab(self._model)
        self._held: list[Unit] = []
        self._sight: Sight | None = None
        self._sight_ns = 0
        if settings.get("projector"):
            try:
                self._sight = Sight(self._model, settings)
            except Unreadable as error:
                raise NotLoaded(error.args[0]) from error
        self._piece = ctypes.create_string_buffer(_MOST_PIECE_BYTES)
        self.context_tokens: int = lib.llama_n_ctx(self._context)
        self.slots: int = lib.llama_n_seq_max(self._context)
        self._formatter = self._chat_formatter()

    def _model_params(
        self, settings: Mapping[str, Any], on_progress: Callable[[float], None]
    ) -> Any:
        lib = self._lib
        params = lib.llama_model_default_params()
        params.n_gpu_layers = settings["gpu_layers"]
        params.load_mode = (
            lib.LLAMA_LOAD_MODE_MMAP if settings["mmap"] else lib.LLAMA_LOAD_MODE_NONE
        )

        def report(share: float, _: object) -> bool:
            on_progress(share)
            return True

        if settings["split"] and settings["gpu_layers"]:
            mode, shares, _ = settings["split"]
            self._split(params, mode, shares)
        params.progress_callback = callback = lib.llama_progress_callback(report)
        self._keep.append(callback)
        if settings["cpu_moe_blocks"]:
            params.tensor_buft_overrides = self._experts_on_cpu(settings["cpu_moe_blocks"])
        return params

    def _split(self, params: Any, mode: str, shares: Sequence[int]) -> None:
        """One card of several, or what each gets. Raises NotLoaded."""
        lib = self._lib
        number = getattr(lib, f"LLAMA_SPLIT_MODE_{mode.upper()}", None)
        if number is None:
            raise NotLoaded(f"the split, because this library has no {mode} mode")
        params.split_mode = number
        if mode == "none":
            params.main_gpu = shares.index(max(shares))
            return
        each = (ctypes.c_float * max(lib.llama_max_devices(), len(shares)))(*shares)
        params.tensor_split = each
        self._keep.append(each)

    def _experts_on_cpu(self, blocks: int) -> Any:
        """What ``--n-cpu-moe`` does: (pattern, buffer type) pairs that end with an empty one."""
        cpu = self._lib._lib.ggml_backend_cpu_buffer_type
        cpu.restype = ctypes.c_void_p
        pattern = EXPERTS_PATTERN.format("|".join(str(block) for block in range(blocks))).encode()
        words = (ctypes.c_void_p * 4)()
        text = ctypes.create_string_buffer(pattern)
        words[0], words[1] = ctypes.addressof(text), cpu()
        self._keep += [words, text]
        return ctypes.addressof(words)

    def _context_params(self, settings: Mapping[str, Any], should_stop: Callable[[], bool]) -> Any:
        lib = self._lib
        params = lib.llama_context_default_params()
        params.n_ctx = settings["context_tokens"]
        params.n_batch = settings["batch_tokens"]
        params.n_ubatch = self._step = settings["micro_batch_tokens"]
        params.n_seq_max = settings["slots"]
        params.n_threads = params.n_threads_batch = settings["threads"]
        params.flash_attn_type = int(settings["flash_attention"])
        kv_type = getattr(lib, f"GGML_TYPE_{settings['kv_type'].upper()}")
        params.type_k = params.type_v = kv_type
        params.offload_kqv = params.op_offload = settings["gpu_layers"] != 0
        params.kv_unified = True
        params.swa_full = settings["swa_full"]
        params.no_perf = False

        def asked(_: object) -> bool:
            return should_stop()

        params.abort_callback = callback = lib.ggml_abort_callback(asked)
        self._keep.append(callback)
        return params

    # Text and tokens.

    def _chat_formatter(self) -> Callable[[Sequence[Mapping[str, str]]], str]:
        lib = self._lib
        template = lib.llama_model_chat_template(self._model, None)
        text = template.decode("utf-8", "replace") if template else _CHATML
        chat_format = importlib.import_module("llama_cpp.llama_chat_format")
        bos = self._special(lib.llama_vocab_bos(self._vocab))
        formatter = chat_format.Jinja2ChatFormatter(
            template=text, bos_token=bos, eos_token=self._special(lib.llama_vocab_eos(self._vocab))
        )
        adds_bos = bool(bos) and lib.llama_vocab_get_add_bos(self._vocab)

        def prompt(said: Sequence[Mapping[str, str]]) -> str:
            written: str = formatter(messages=[dict(message) for message in said]).prompt
            return written.removeprefix(bos) if adds_bos else written

        return prompt

    def _special(self, token: int) -> str:
        if token < 0:
            return ""
        text = self._lib.llama_vocab_get_text(self._vocab, token)
        return text.decode("utf-8", "replace") if text else ""

    @property
    def sees_images(self) -> bool:
        """Whether a message may have images."""
        return self._sight is not None

    def prompt(self, said: Sequence[Mapping[str, Any]]) -> str:
        """A conversation as the model was trained to read it, a mark in the place of each image."""
        mark = self._sight.marker if self._sight else ""
        return self._formatter(
            [
                {"role": m["role"], "content": mark * len(m.get("images", ())) + m["content"]}
                for m in said
            ]
        )

    @contextlib.contextmanager
    def units(
        self, prompt: str, images: Sequence[bytes], *, only_count: bool = False
    ) -> Generator[Sequence[Unit]]:
        """What ``prompt`` is made of, to be counted or computed. Raises Unreadable."""
        if not images:
            yield self.tokens(prompt, special=True)
        elif self._sight is None:
            raise Unreadable("the model was loaded without a projector")
        else:
            with self._sight.cut(prompt, images, only_count=only_count) as units:
                yield units

    def tokens(self, text: str, *, special: bool) -> list[int]:
        """Token ids; ``special`` reads markers as such and adds what the model wants added."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        ids = (self._lib.llama_token * room)()
        count = self._lib.llama_tokenize(self._vocab, data, len(data), ids, room, special, special)
        return list(ids[: max(0, count)])

    def piece(self, token: int) -> bytes:
        """The bytes of a token: not always whole characters, none for a marker."""
        count = self._lib.llama_token_to_piece(
            self._vocab, token, self._piece, _MOST_PIECE_BYTES, 0, False
        )
        return self._piece.raw[: max(0, count)]

    def ends(self, token: int) -> bool:
        """Whether the model ends its answer with ``token``."""
        return bool(self._lib.llama_vocab_is_eog(self._vocab, token))

    # Computing.

    def keep_prefix(self, units: Sequence[Unit]) -> int:
        """Forget what the cache holds beyond its common start with ``units``; how many are that.

        At least the last one is left to compute, since its logits are needed.
        """
        kept = 0
        for held, wanted in zip(self._held, units[:-1], strict=False):
            if held != wanted:
                break
            kept += 1
        self._position = positions_in(units[:kept])
        if not self._lib.llama_memory_seq_rm(self._memory, 0, self._position, -1):
            self._lib.llama_memory_clear(self._memory, True)
            kept = self._position = 0
        del self._held[kept:]
        self._lib.llama_perf_context_reset(self._context)
        self._sight_ns = 0
        return kept

    def compute(self, units: Sequence[Unit]) -> Iterator[int]:
        """Put ``units`` into the cache; yields how many tokens are, after each micro-batch.

        Raises:
            Stopped: called off; the cache stands as if the last micro-batch had not begun.
            ContextFull: no room.
            Unreadable: libmtmd could not compute an image.
        """
        done = 0
        for part in self._steps(units):
            code = self._see(part) if isinstance(part, Patch) else self._read(part)
            new: Sequence[Unit] = (part,) if isinstance(part, Patch) else part
            if code:
                self._lib.llama_memory_seq_rm(self._memory, 0, self._position, -1)
                if code not in (_NO_ROOM, _ABORTED) and isinstance(part, Patch):
                    raise Unreadable("an image could not be computed")
                raise ContextFull if code == _NO_ROOM else Stopped(str(code))
            self._lib.llama_synchronize(self._context)
            self._held += new
            self._position += positions_in(new)
            done += tokens_in(new)
            yield done

    def _steps(self, units: Sequence[Unit]) -> Iterator[Patch | list[int]]:
        """Images one by one, and what is between them in micro-batches of tokens."""
        tokens: list[int] = []
        for unit in units:
            if isinstance(unit, Patch) or len(tokens) == self._step:
                if tokens:
                    yield tokens
                tokens = []
            if isinstance(unit, Patch):
                yield unit
            else:
                tokens.append(unit)
        if tokens:
            yield tokens

    def _read(self, tokens: Sequence[int]) -> int:
        size = len(tokens)
        ids = (self._lib.llama_token * size)(*tokens)
        # After an image llama.cpp could not say by itself where the text goes on.
        at = (self._lib.llama_pos * size)(*range(self._position, self._position + size))
        batch = self._lib.llama_batch_get_one(ids, size)
        batch.pos = at
        return int(self._lib.llama_decode(self._context, batch))

    def _see(self, patch: Patch) -> int:
        if self._sight is None:
            raise Unreadable("the model was loaded without a projector")
        before = self.perf()
        code, took_ns = self._sight.compute(self._context, patch, self._position)
        self._lib.llama_synchronize(self._context)
        clocked_ns = self.perf().prefill_ns - before.prefill_ns
        self._sight_ns += max(0, took_ns - clocked_ns)  # what the projector took
        return code

    def perf(self) -> Perf:
        """The times so far; the projector's belong to prefill."""
        data = self._lib.llama_perf_context(self._context)
        prefill_ns = round(data.t_p_eval_ms * _NS_PER_MS) + self._sight_ns
        return Perf(prefill_ns, round(data.t_eval_ms * _NS_PER_MS))

    @contextlib.contextmanager
    def sampler(self, wanted: Mapping[str, Any]) -> Generator[Callable[[], int]]:
        """Draws the next token from the newest logits, as ``wanted`` (the fields of Sampling)."""
        lib = self._lib
        said = {name: value for name, value in wanted.items() if value is not None}
        values = {**DEFAULT_SAMPLING, **said}
        chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        try:
            if values["repeat_penalty"] != 1.0:
                words = lib.llama_vocab_n_tokens(self._vocab)
                chosen = (words, _PENALTY_TOKENS, values["repeat_penalty"], 0.0, 0.0)
                lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_penalties(*chosen))
            if values["temperature"] <= 0:
                lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_greedy())
            else:
                seed = int(values.get("seed", lib.LLAMA_DEFAULT_SEED)) & 0xFFFFFFFF
                for sampler in (
                    lib.llama_sampler_init_top_k(int(values["top_k"])),
                    lib.llama_sampler_init_top_p(values["top_p"], 1),
                    lib.llama_sampler_init_min_p(values["min_p"], 1),
                    lib.llama_sampler_init_temp(values["temperature"]),
                    lib.llama_sampler_init_dist(seed),
                ):
                    lib.llama_sampler_chain_add(chain, sampler)
            yield lambda: int(lib.llama_sampler_sample(chain, self._context, -1))
        finally:
            lib.llama_sampler_free(chain)


_CHATML: Final = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}<|im_start|>assistant\n"
)


def devices() -> list[dict[str, object]]:
    """What this build can run on (``ggml_backend_dev_*``)."""
    library = bindings()._lib
    found: list[dict[str, object]] = []
    for name, result in (
        ("ggml_backend_dev_get", ctypes.c_void_p),
        ("ggml_backend_dev_name", ctypes.c_char_p),
        ("ggml_backend_dev_description", ctypes.c_char_p),
        ("ggml_backend_dev_count", ctypes.c_size_t),
    ):
        getattr(library, name).restype = result
    for index in range(library.ggml_backend_dev_count()):
        device = ctypes.c_void_p(library.ggml_backend_dev_get(ctypes.c_size_t(index)))
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        library.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
        found.append(
            {
                "name": library.ggml_backend_dev_name(device).decode(),
                "description": library.ggml_backend_dev_description(device).decode(),
                "memory_total_bytes": total.value,
                "memory_free_bytes": free.value,
            }
        )
    return found
