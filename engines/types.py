"""Frozen records that every room shares. Units are in the names; bytes are bytes everywhere.

Those that every start needs are named tuples: a dataclass takes ten times as long to make (1 ms).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, NamedTuple

HParam = int | float | bool | str | tuple[int, ...] | tuple[float, ...] | tuple[bool, ...]


class ModelFormat(StrEnum):
    """How weights are stored on disk.

    A folder of safetensors is told apart by how its weights are quantised, because that decides
    which engines can run it; ``SAFETENSORS`` is one that needs nothing special.
    """

    GGUF = "gguf"
    LLAMAFILE = "llamafile"
    SAFETENSORS = "safetensors"
    EXL2 = "exl2"
    EXL3 = "exl3"
    GPTQ = "gptq"
    AWQ = "awq"
    BITSANDBYTES = "bitsandbytes"
    FP8 = "fp8"
    NVFP4 = "nvfp4"
    AUTOROUND = "autoround"
    NEURAL_COMPRESSOR = "neural-compressor"
    COMPRESSED_TENSORS = "compressed-tensors"
    MLX = "mlx"
    PICKLE = "pickle"

    @property
    def written(self) -> str:
        """As people write it: ``GGUF``, ``AWQ``, ``safetensors``."""
        name = self.value
        return _WRITTEN.get(name) or (name.upper() if len(name) <= 5 else name)


_WRITTEN: Final = {"autoround": "AutoRound", "neural-compressor": "Neural Compressor"}


class Source(StrEnum):
    """The store a model was found in."""

    FOLDER = "folder"
    HUGGING_FACE = "hugging-face"
    LLAMA_CPP = "llama.cpp"
    OLLAMA = "ollama"
    LM_STUDIO = "lm-studio"
    TEXT_GENERATION_WEBUI = "text-generation-webui"
    DEMO = "demo"


class BlockWeights(NamedTuple):
    """Bytes of one repeated block (``blk.N``), as stored in the file.

    A tuple, because a list of models makes thousands of them.

    Attributes:
        number: N of ``blk.N``.
        dense_bytes: all tensors but the routed experts.
        expert_bytes: routed experts (``ffn_*_exps``); 0 in a dense model.
        cuda_padding_bytes: what CUDA adds when rows are no multiple of 512 elements and for
            128-byte alignment (llama.cpp ggml-cuda buffer type).
        expert_padding_bytes: of that, what belongs to the routed experts.
    """

    number: int
    dense_bytes: int
    expert_bytes: int
    cuda_padding_bytes: int
    expert_padding_bytes: int = 0


class WeightTable(NamedTuple):
    """The tensor table, summed by where llama.cpp may put each tensor.

    Attributes:
        blocks: one entry per ``blk.N``, ascending.
        token_embedding_bytes: ``token_embd``: always in host memory.
        host_only_bytes: other tables that never leave the host (``per_layer_token_embd``, …).
        output_bytes: ``output.weight`` and ``output_norm``; this layer moves to the GPU first.
        output_tied: no ``output.weight``: the token embedding serves twice (host and GPU).
        other_bytes: whatever fits none of the above (placed with the output).
        largest_matrix_bytes: largest tensor of a block beside its routed experts; 0 when unknown.
        largest_expert_bytes: largest tensor of routed experts; 0 when there are none.
    """

    blocks: Sequence[BlockWeights] = ()
    token_embedding_bytes: int = 0
    host_only_bytes: int = 0
    output_bytes: int = 0
    output_tied: bool = False
    other_bytes: int = 0
    largest_matrix_bytes: int = 0
    largest_expert_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        """Bytes of all tensors as stored: each tensor once."""
        blocks = sum(block.dense_bytes + block.expert_bytes for block in self.blocks)
        rest = self.token_embedding_bytes + self.host_only_bytes + self.output_bytes
        return blocks + rest + self.other_bytes


class ModelHeader(NamedTuple):
    """What a model file says of itself, without its weights and its vocabulary.

    Attributes:
        architecture: ``general.architecture``, cleaned.
        name: ``general.name``, cleaned; empty when the file has none.
        parameters: elements over all tensors.
        quantisation: the file's type by name (``Q4_K_M``), from ``general.file_type`` or, where
            that is missing, the type most weight bytes have.
        context_length: trained context in tokens; 0 when unknown.
        vocabulary_size: tokens in the vocabulary; 0 when unknown.
        has_chat_template: the header carries a chat template.
        hparams: scalars and short numeric arrays of the metadata, keys as in the file; the
            tokenizer's tables and texts over 256 characters are left out.
        weights: the tensor table, summed.
        tensor_count: tensors over all parts of a split model.
        format: how the weights are stored.
    """

    architecture: str
    name: str
    parameters: int
    quantisation: str
    context_length: int
    vocabulary_size: int
    has_chat_template: bool
    hparams: Mapping[str, HParam]
    weights: WeightTable
    tensor_count: int
    format: ModelFormat = ModelFormat.GGUF


class AlsoSeen(NamedTuple):
    """Another name of a model: the same physical file in another place."""

    name: str
    source: Source
    path: Path


class LocalModel(NamedTuple):
    """One model on this machine: one row of the list.

    Attributes:
        name: the file's stem, cleaned (a split model: without ``-00001-of-00003``); of a folder
            its own name, in the Hugging Face cache that of the repository.
        path: what to hand to an engine, as found: the file (a split model: its first part), or the
            folder of one that is not a single file.
        files: every file with weights, in order.
        source: the store it was found in.
        format: how it is stored.
        size_bytes: over all files.
        header: what the file says of itself; None when ``problem`` says why.
        problem: one sentence; None when the model is sound.
        projector: the file that turns images into tokens (``mmproj``); None when it has none.
        also: the other names that the same file has, in other places.
        stamp: what tells this state of its files from another; empty when they were not read.
    """

    name: str
    path: Path
    files: tuple[Path, ...]
    source: Source
    format: ModelFormat
    size_bytes: int
    header: ModelHeader | None = None
    problem: str | None = None
    projector: Path | None = None
    also: tuple[AlsoSeen, ...] = ()
    stamp: str = ""

    @property
    def id(self) -> str:
        """Stable identity of the row: the path to its first file."""
        return str(self.path)

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, then those that it has in other places, each once."""
        return tuple(dict.fromkeys((self.name, *(seen.name for seen in self.also))))


KvType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]


class Draft(NamedTuple):
    """What guesses tokens ahead of a model, which then checks them all at once.

    Attributes:
        model: what is loaded for it, as an engine is handed it; empty: the model's own blocks for
            multi-token prediction.
        tokens: guessed at most at a time; llama-server's own default.
    """

    model: str = ""
    tokens: int = 3


SplitMode = Literal["none", "layer", "tensor"]


class Split(NamedTuple):
    """How one model is spread over the cards of a machine that has several.

    Attributes:
        mode: whole layers on each, a part of every tensor on each, or all of it on one of them.
        shares: what each card gets, in the order of the machine's cards (that of PCI): layers,
            the output layer being one, or parts of each tensor; 0: nothing.
        numbers: the driver's number of each, where the environment hides some; none: 0, 1, …
    """

    mode: SplitMode
    shares: tuple[int, ...]
    numbers: tuple[int, ...] = ()

    @property
    def card(self) -> int:
        """The number of the card that has most: the only one with ``none``."""
        return self.shares.index(max(self.shares))

    @property
    def number(self) -> int:
        """The driver's number of that card."""
        return self.numbers[self.card] if self.numbers else self.card


class Plan(NamedTuple):
    """Exactly how a model is to be loaded; engines pass it on whole and do not rewrite it.

    Attributes:
        context_tokens: total over all slots.
        kv_type: type of both K and V cache.
        slots: sequences in one unified cache.
        batch_tokens: logical batch.
        micro_batch_tokens: physical batch; sets the compute buffer's size.
        flash_attention: on or off, never ``auto``.
        gpu_layers: as llama.cpp counts: the output layer is the first moved, so k blocks on the
            GPU is ``k + 1``; 0 is CPU only, ``ALL_LAYERS`` everything.
        cpu_moe_blocks: the first blocks, whose experts stay on the CPU (``--n-cpu-moe``).
        swa_full: sliding-window layers cache the whole context, not only their window.
        threads: CPU threads for decode and prefill; 0 lets the adapter choose.
        mmap: map weights instead of reading them.
        draft: what guesses tokens ahead; None: nothing does.
        adapters: files of LoRA adapters that are applied.
        split: over several cards; None where there is one, or the engine may choose.
    """

    context_tokens: int = 4096
    kv_type: KvType = "f16"
    slots: int = 1
    batch_tokens: int = 2048
    micro_batch_tokens: int = 512
    flash_attention: bool = True
    gpu_layers: int = 999
    cpu_moe_blocks: int = 0
    swa_full: bool = False
    threads: int = 0
    mmap: bool = True
    draft: Draft | None = None
    adapters: tuple[str, ...] = ()
    split: Split | None = None


ALL_LAYERS = 999


class LoadProgress(NamedTuple):
    """One step of a load.

    Attributes:
        stage: what is happening, in a word or two (``starting``, ``reading weights``).
        fraction: 0…1 of the whole load, or None when the engine does not say.
    """

    stage: str
    fraction: float | None = None


class LoadedModel(NamedTuple):
    """A model that an engine holds ready.

    Attributes:
        instance: the engine's own handle; unique while the engine object lives.
        engine: name of the adapter.
        engine_build: the engine's version as it reports it.
        model: the model as it was found.
        plan: what it was loaded with.
        context_tokens: what the engine says it has (its own rounding applied).
        pid: the process that holds the weights, or None when it is not on this machine.
        load_ns: from the request to ready, by our clock.
        device: where it runs, in the engine's words (``CPU``, ``CUDA0``).
        sees_images: a message may have images.
    """

    instance: str
    engine: str
    engine_build: str
    model: LocalModel
    plan: Plan
    context_tokens: int
    pid: int | None
    load_ns: int
    device: str
    sees_images: bool = False


class Device(NamedTuple):
    """A device an engine can run on, as the engine names it."""

    name: str
    description: str
    memory_total_bytes: int | None
    memory_free_bytes: int | None


class Probe(NamedTuple):
    """Whether an engine can be used here.

    Attributes:
        available: it can load a model now.
        build: version or build, empty when unknown.
        where: the binary or package it would run.
        devices: what it can run on.
        problem: one sentence when it is not available, else empty.
        next_step: the command or step that would make it available, else empty.
        installed: it is here, whether it can be used or not; an engine that nobody asked for is
            no trouble.
        command: of the next step, what to type, alone; empty where it is no command.
    """

    available: bool
    build: str = ""
    where: str = ""
    devices: tuple[Device, ...] = ()
    problem: str = ""
    next_step: str = ""
    installed: bool = True
    command: str = ""


class EngineInfo(NamedTuple):
    """Who an engine is, known without starting it.

    Attributes:
        name: of the adapter.
        title: as people call it.
        formats: what it reads.
        summary: one sentence.
        source: the only store whose models it runs; None: any.
    """

    name: str
    title: str
    formats: frozenset[ModelFormat]
    summary: str
    source: Source | None = None

    def runs(self, model: LocalModel) -> bool:
        """Whether it reads the model's format, and reaches it where it lies."""
        here = self.source in (None, model.source, *(seen.source for seen in model.also))
        return here and model.format in self.formats
