"""What llama.cpp's log says of its buffers: lines as builds of several years wrote them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.adapters.llama_buffers import buffers_of
from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from modeldeck.engines.buffers import Buffer, gpu_devices, total_bytes
from modeldeck.engines.contract import ReportsBuffers
from modeldeck.engines.types import LocalModel, Plan
from modeldeck.engines.units import MIB

HYBRID_ON_TWO_CARDS = """\
load_tensors: offloaded 49/49 layers to GPU
load_tensors:   CPU_Mapped model buffer size =   308.25 MiB
load_tensors:        CUDA0 model buffer size =  2024.50 MiB
load_tensors:        CUDA1 model buffer size =  1800.00 MiB
llama_context:  CUDA_Host  output buffer size =     0.50 MiB
llama_kv_cache:      CUDA0 KV buffer size =   448.00 MiB
llama_kv_cache:      CUDA1 KV buffer size =   400.00 MiB
llama_kv_cache: size =  848.00 MiB (  4096 cells,  28 layers,  1/1 seqs), K (f16):  424.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =   100.00 MiB
llama_memory_recurrent:      CUDA0 RS buffer size =    62.75 MiB
llama_memory_recurrent:        CPU RS buffer size =    16.75 MiB
sched_reserve:      CUDA0 compute buffer size =   900.00 MiB
sched_reserve:  CUDA_Host compute buffer size =    40.00 MiB
sched_reserve:      CUDA0 compute buffer size =   300.75 MiB
sched_reserve:      CUDA1 compute buffer size =   250.00 MiB
sched_reserve:  CUDA_Host compute buffer size =    12.00 MiB
llama_adapter_lora_init_impl:      CUDA0 LoRA buffer size =   160.00 MiB
clip_ctx: CLIP using CUDA0 backend
load_hparams: model size:         819.50 MiB
alloc_compute_meta:      CUDA0 compute buffer size =   102.75 MiB
alloc_compute_meta:        CPU compute buffer size =     1.25 MiB
"""


def mib(*buffers: tuple[str, str, float]) -> set[tuple[str, str, int]]:
    return {(device, kind, round(size * MIB)) for device, kind, size in buffers}


def test_every_kind_on_every_device_is_summed() -> None:
    found = buffers_of(HYBRID_ON_TWO_CARDS.splitlines())

    assert {tuple(one) for one in found} == mib(
        ("CPU_Mapped", "weights", 308.25),
        ("CUDA0", "weights", 2024.5),
        ("CUDA1", "weights", 1800.0),
        ("CUDA_Host", "output", 0.5),
        ("CUDA0", "kv", 548.0),  # a window's cache is a second one
        ("CUDA1", "kv", 400.0),
        ("CUDA0", "recurrent", 62.75),
        ("CPU", "recurrent", 16.75),
        ("CUDA0", "compute", 300.75),  # reserved again, not besides
        ("CUDA1", "compute", 250.0),
        ("CUDA_Host", "compute", 12.0),
        ("CUDA0", "lora", 160.0),
        ("CUDA0", "projector", 922.25),
        ("CPU", "projector", 1.25),
    )
    assert gpu_devices(found) == ("CUDA0", "CUDA1")
    assert total_bytes(found, "kv", on_host=False) == 948 * MIB
    assert total_bytes(found, "compute", "output", on_host=True) == round(12.5 * MIB)


@pytest.mark.parametrize(
    ("line", "device", "kind", "size"),
    [
        ("llm_load_tensors:      CUDA0 buffer size =  4155.99 MiB", "CUDA0", "weights", 4155.99),
        ("llm_load_tensors:        CPU buffer size =    70.31 MiB", "CPU", "weights", 70.31),
        (
            "0.00.308.821 I load_tensors:        CUDA0 model buffer size =    40.73 MiB",
            "CUDA0",
            "weights",
            40.73,
        ),
        ("load_tensors:          AMX model buffer size =    40.50 MiB", "AMX", "weights", 40.5),
        (
            "load_tensors:   CPU_REPACK model buffer size =   100.00 MiB",
            "CPU_REPACK",
            "weights",
            100.0,
        ),
        (
            "print_backend_buffers_info:      Vulkan0 model buffer size =   604.15 MiB",
            "Vulkan0",
            "weights",
            604.15,
        ),
        (
            "load_tensors: RPC[10.0.0.2:50052] model buffer size =  2024.21 MiB",
            "RPC[10.0.0.2:50052]",
            "weights",
            2024.21,
        ),
        ("llama_kv_cache_init:  CUDA_Host KV buffer size =    64.00 MiB", "CUDA_Host", "kv", 64.0),
        ("llama_kv_cache_unified:      Metal KV buffer size =  1152.00 MiB", "Metal", "kv", 1152.0),
        (
            "llama_new_context_with_model:  CUDA_Host  output buffer size =     1.95 MiB",
            "CUDA_Host",
            "output",
            1.95,
        ),
        (
            "llama_init_from_model:      ROCm0 compute buffer size =   672.01 MiB",
            "ROCm0",
            "compute",
            672.01,
        ),
        (
            "llama_context: Vulkan_Host compute buffer size =   136.02 MiB",
            "Vulkan_Host",
            "compute",
            136.02,
        ),
    ],
)
def test_a_line_of_any_build_is_read(line: str, device: str, kind: str, size: float) -> None:
    assert {tuple(one) for one in buffers_of([line])} == mib((device, kind, size))


@pytest.mark.parametrize(
    "line",
    [
        "llama_kv_cache: size =    4.00 MiB (  2048 cells,   4 layers), K (f16):    2.00 MiB",
        "llama_new_context_with_model: KV self size  =  144.00 MiB, K (f16):   72.00 MiB",
        "llama_model_loader: - kv   1:  general.name str = load: CUDA0 KV buffer size =  9.00 MiB",
        "sched_reserve: CUDA0 compute buffer size of  300.7500 MiB, does not match expectation",
        "load_tensors:        CUDA0 model buffer size = 99999999999.00 MiB",
        "load_tensors:        CUDA0 model buffer size =  nan MiB",
        "",
    ],
)
def test_what_only_looks_like_a_buffer_is_none(line: str) -> None:
    assert buffers_of([line]) == ()


def test_a_chat_template_cannot_pass_for_a_buffer() -> None:
    log = [
        "load_tensors:        CUDA0 model buffer size =  100.00 MiB",
        "0.00.023.759 I srv  init: chat template, example_format: '<|im_start|>system",
        "load_tensors:        CUDA0 model buffer size =  9000.00 MiB",
    ]
    assert buffers_of(log) == (Buffer("CUDA0", "weights", 100 * MIB),)


def test_a_log_without_end_gives_few_buffers() -> None:
    lines = (f"load_tensors:   CUDA{n} model buffer size =  1.00 MiB" for n in range(5000))
    assert len(buffers_of(lines)) == 256


@given(st.lists(st.text(max_size=80), max_size=20))
def test_any_text_is_survived(lines: list[str]) -> None:
    assert all(one.size_bytes >= 0 for one in buffers_of(lines))


async def test_a_real_load_hands_out_exactly_what_its_log_says(
    tiny_model: LocalModel, seeing_model: LocalModel
) -> None:
    engine = LlamaServerEngine()
    assert isinstance(engine, ReportsBuffers)
    for model in (tiny_model, seeing_model):
        loaded = await engine.load(model, Plan(context_tokens=512, gpu_layers=0))
        try:
            found, log = engine.buffers(loaded.instance), engine.log()
        finally:
            await engine.unload(loaded.instance)
        sized = re.compile(r" (?:buffer|model) size[ =:]+(\S+) MiB$")
        printed = [float(match[1]) for line in log if (match := sized.search(line))]
        assert {one.kind for one in found} >= {"weights", "kv", "compute", "output"}
        assert ("projector" in {one.kind for one in found}) == (model.projector is not None)
        assert sum(one.size_bytes for one in found) == pytest.approx(sum(printed) * MIB, abs=99)
        assert engine.buffers(loaded.instance) == ()
    await engine.close()
