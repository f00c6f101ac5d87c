"""What is fuzzed: each target takes any bytes and may only read them or refuse them.

A refusal is one of the errors that the reader's callers are told of. Anything else that is raised
is a bug, and so is taking long or taking much memory.
"""

from __future__ import annotations

import contextlib
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modeldeck.engines.adapters.llama_buffers import buffers_of
from modeldeck.engines.catalog.folders import contents_of
from modeldeck.engines.catalog.ollama import read_manifest
from modeldeck.engines.catalog.remote_choice import choose_files
from modeldeck.engines.catalog.remote_hub import Repository, read_listing
from modeldeck.engines.errors import FormatError, ModelNotFound, SettingsError
from modeldeck.engines.fit.cards import card_with_vram
from modeldeck.engines.fit.verdict import judge
from modeldeck.engines.formats.adapter import adapter_sizes
from modeldeck.engines.formats.folder import header_of_folder
from modeldeck.engines.formats.gguf import read_gguf
from modeldeck.engines.formats.header import header_of
from modeldeck.engines.formats.json_text import json_object
from modeldeck.engines.formats.llamafile import gguf_inside
from modeldeck.engines.formats.safetensors import SafeTensor, read_safetensors
from modeldeck.engines.house.manifests import digests_named
from modeldeck.engines.out_of_memory import shortage_of
from modeldeck.engines.text import UNSAFE, clean, clean_line
from modeldeck.engines.types import Plan
from modeldeck.engines.units import parse_size
from modeldeck.tui.settings import settings_of
from modeldeck.tui.settings_file import with_setting
from tests.support.gguf_files import (
    F16,
    F32,
    Q4_K,
    Tensor,
    header_bytes,
    llama_metadata,
    llamafile_bytes,
    small_gguf,
)
from tests.support.safetensors_files import LLAMA, llama_weights, safetensors_header

_CARD = card_with_vram(12 << 30, 32 << 30)


@dataclass(frozen=True, slots=True)
class Memory:
    """A source of bytes that lie in memory."""

    data: bytes

    @property
    def size_bytes(self) -> int:
        """Length of the whole."""
        return len(self.data)

    def read_at(self, offset: int, count: int, needed: int | None = None) -> bytes:
        """Up to ``count`` bytes from ``offset``."""
        return self.data[offset : offset + count]


@dataclass(frozen=True, slots=True)
class Target:
    """Something to fuzz.

    Attributes:
        run: takes any bytes; raises only on a bug.
        seeds: valid inputs to begin from.
    """

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def _gguf(data: bytes) -> None:
    """Header, description and verdict of one file."""
    with contextlib.suppress(FormatError):
        header = header_of([read_gguf(Memory(data))])
        judge(header, Plan(context_tokens=4096), _CARD)
        assert not UNSAFE.search(header.name + header.architecture + header.quantisation)


def _split_gguf(data: bytes) -> None:
    """Two parts of one model, cut where the first byte says."""
    at = data[0] * len(data) // 256 if data else 0
    with contextlib.suppress(FormatError):
        header_of([read_gguf(Memory(data[1:at])), read_gguf(Memory(data[at:]))])


def _adapter(data: bytes) -> None:
    """The file of an adapter."""
    with contextlib.suppress(FormatError):
        sizes = adapter_sizes(read_gguf(Memory(data)))
        assert sizes.weights.total_bytes >= 0
        assert not UNSAFE.search(sizes.architecture)


def _safetensors(data: bytes) -> None:
    """A file of safetensors, and the header made of it."""
    with contextlib.suppress(FormatError):
        header_of_folder(LLAMA, None, read_safetensors(Memory(data)))


def _llamafile(data: bytes) -> None:
    """A program with an archive at its end, and the GGUF file in it."""
    with contextlib.suppress(FormatError):
        header_of([read_gguf(gguf_inside(Memory(data)))])


def _folder(data: bytes) -> None:
    """A configuration, taken for the file of a tool that quantises too."""
    with contextlib.suppress(FormatError):
        config = json_object(Memory(data), "It")
        tensors = [SafeTensor("model.layers.0.a.qweight", "I32", (2, 2), 16)]
        header = header_of_folder(config, config, tensors)
        judge(header, Plan(context_tokens=4096), _CARD)
        assert not UNSAFE.search(header.name + header.architecture + header.quantisation)


def _ollama_store(data: bytes) -> None:
    """The same, read for what may not be deleted."""
    with contextlib.suppress(ValueError, RecursionError):
        for digest in digests_named(data, Path("/nowhere")):
            assert len(digest) == 64


def _ollama(data: bytes) -> None:
    """A manifest of Ollama's store."""
    with contextlib.suppress(FormatError):
        for layer in read_manifest(data):
            assert "/" not in layer.digest
            assert len(layer.kind) < len(data)
            assert layer.size_bytes >= 0


def _repository(data: bytes) -> None:
    """What the Hub says is in a repository, and the files chosen from it."""
    with contextlib.suppress(FormatError, ModelNotFound):
        files = read_listing(data).files
        assert all(known.size_bytes is None or known.size_bytes >= 0 for known in files.values())
        contents_of(files)
        there = Repository("https://host", "o/n", "main", files, has_chat_template=False)
        for names in choose_files(files, "Q4_K_M", all_variants=True):
            assert all(there.url(name).isascii() for name in names)
            there.state(names)


def _settings(data: bytes) -> None:
    """A settings file: read, and one line of it changed."""
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError):
        settings_of(tomllib.loads(text))
    with contextlib.suppress(ValueError, RecursionError):
        changed = with_setting(text, "theme", "deck-light")
        assert tomllib.loads(changed.removeprefix("\ufeff"))["theme"] == "deck-light"


def _engine_log(data: bytes) -> None:
    lines = [clean_line(line, 1000) for line in data.decode("utf-8", "replace").splitlines()]
    assert all(0 <= one.size_bytes < 1 << 50 for one in buffers_of(lines))
    shortage_of(lines)


def _text(data: bytes) -> None:
    """Names and sizes as strangers write them."""
    text = data.decode("utf-8", "surrogateescape")
    assert not UNSAFE.search(clean(text))
    line = clean_line(text, 80)
    assert not UNSAFE.search(line)
    assert "\n" not in line
    with contextlib.suppress(SettingsError):
        parse_size(text)


_TENSORS = (
    Tensor("token_embd.weight", (256, 8), Q4_K),
    Tensor("blk.0.attn_q.weight", (256, 4), F16),
    Tensor("output_norm.weight", (256,), F32),
)
_WEIGHTS = llama_weights(1, 8, 10)
_SAFE = safetensors_header(_WEIGHTS, {"format": "pt"}) + bytes(sum(w.size_bytes for w in _WEIGHTS))
_QUANTISED = (
    {"quant_method": "gptq", "bits": 4, "group_size": 128},
    {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 4}}}},
)
_SMALL = header_bytes(llama_metadata(blocks=1, embedding=256, tokens=8), list(_TENSORS))
_LORA = {"general.type": "adapter", "general.architecture": "llama", "adapter.type": "lora"}
_ADAPTER = header_bytes(
    _LORA, [Tensor(f"blk.0.attn_q.weight.lora_{part}", (32, 1)) for part in "ab"]
)
_PADDED = _SMALL + bytes(8192)

TARGETS: Mapping[str, Target] = {
    "gguf": Target(_gguf, (_PADDED, _SMALL)),
    "adapter": Target(_adapter, (_ADAPTER + bytes(256),)),
    "split_gguf": Target(_split_gguf, (b"\x80" + _PADDED + _PADDED,)),
    "safetensors": Target(_safetensors, (_SAFE,)),
    "llamafile": Target(_llamafile, (llamafile_bytes(small_gguf()),)),
    "folder": Target(
        _folder,
        tuple(json.dumps({**LLAMA, "quantization_config": q}).encode() for q in _QUANTISED),
    ),
    "settings": Target(
        _settings,
        (
            b'# mine\ntheme = "deck-dark"\nmodel_dirs = ["~/models"]\n[keys]\n"a.b" = "s"\n',
            b'context_tokens = 8192\nkv_type = "q8_0"\n[engines.llama_server]\nbinary = "/x"\n',
        ),
    ),
    "ollama-store": Target(
        _ollama_store,
        (
            b'{"config":{},"layers":[{"digest":"sha256:' + b"0" * 64 + b'"}]}',
            b'{"manifests":[{"digest":"sha256:' + b"0" * 64 + b'"}]}',
        ),
    ),
    "ollama": Target(
        _ollama,
        (
            b'{"schemaVersion":2,"layers":[{"mediaType":"application/vnd.ollama.image.model",'
            b'"digest":"sha256:' + b"a" * 64 + b'","size":5}]}',
        ),
    ),
    "repository": Target(
        _repository,
        (
            b'{"siblings":[{"rfilename":"a-Q4_K_M-00001-of-00002.gguf","size":5,"blobId":"ab",'
            b'"lfs":{"size":5,"sha256":"cd"}},{"rfilename":"config.json"}],'
            b'"config":{"tokenizer_config":{"chat_template":"{{ m }}"}}}',
        ),
    ),
    "engine_log": Target(
        _engine_log,
        (
            b"0.00.1 I load_tensors:   CPU_Mapped model buffer size =   308.23 MiB\n",
            b"clip_ctx: CLIP using CUDA0 backend\nload_hparams: model size:         819.63 MiB\n",
        ),
    ),
    "text": Target(_text, (b"12 GiB", "a\x1b[31mb\u202ec".encode(), b"\xff\xfe\x00")),
}
