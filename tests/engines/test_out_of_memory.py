"""Memory ran out: every engine's way of saying so, and what only sounds like it.

The lines are as people reported them of llama.cpp (and its forks), Ollama, PyTorch, vLLM, ExLlama
and NumPy; where a line names a thread, it is from there.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.out_of_memory import Shortage, shortage_of

MIB, GIB = 1 << 20, 1 << 30
CUDA = "ggml_backend_cuda_buffer_type_alloc_buffer: allocating {} MiB on device 0: "
FAILED = CUDA + "cudaMalloc failed: out of memory"

LLAMA_CPP = {
    # ggml-org/llama.cpp#20431
    "weights on CUDA": (
        [
            FAILED.format("144817.04"),
            "alloc_tensor_range: failed to allocate CUDA0 buffer of size 151851674624",
            "llama_model_load: error loading model: unable to allocate CUDA0 buffer",
        ],
        Shortage("the weights", 151851674624),
    ),
    # ggml-org/llama.cpp#7366
    "weights, before the devices had names": (
        ["llama_model_load: error loading model: unable to allocate backend buffer"],
        Shortage("the weights", 0),
    ),
    # xorbitsai/inference#2926
    "cache on CUDA": (
        [
            FAILED.format("204800.00"),
            "llama_kv_cache_init: failed to allocate buffer for kv cache",
            "llama_init_from_model: llama_kv_cache_init() failed for self-attention cache",
        ],
        Shortage("the KV cache", 204800 * MIB),
    ),
    # ggml-org/llama.cpp#8101
    "cache in host memory": (
        [
            "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size "
            "137438953504",
            "llama_kv_cache_init: failed to allocate buffer for kv cache",
            "llama_new_context_with_model: llama_kv_cache_init() failed for self-attention cache",
        ],
        Shortage("the KV cache", 137438953504, on_host=True),
    ),
    # ikawrakow/ik_llama.cpp#749
    "compute on CUDA": (
        [
            FAILED.format("279356.51"),
            "ggml_gallocr_reserve_n: failed to allocate CUDA0 buffer of size 292926534144",
            "llama_new_context_with_model: failed to allocate compute buffers",
        ],
        Shortage("the compute buffer", 292926534144),
    ),
    # ggml-org/llama.cpp#16725
    "compute on ROCm": (
        [
            FAILED.format("14136.04"),
            "ggml_gallocr_reserve_n: failed to allocate ROCm0 buffer of size 14822711296",
            "graph_reserve: failed to allocate compute buffers",
            "llama_init_from_model: failed to initialize the context: "
            "failed to allocate compute pp buffers",
            "common_init_from_params: failed to create context with model 'm.gguf', "
            "try reducing --n-gpu-layers if you're running out of VRAM",
        ],
        Shortage("the compute buffer", 14822711296),
    ),
    # ggml-org/llama.cpp#26297; the second try had less to ask for
    "compute again without pipelines": (
        [
            "1.06.520.077 E ggml_backend_cuda_buffer_type_alloc_buffer: allocating 51748.72 MiB "
            "on device 1: cudaMalloc failed: out of memory",
            "1.06.520.084 E ggml_gallocr_reserve_n_impl: failed to allocate CUDA1 buffer of size "
            "54262464512",
            "1.06.520.086 E graph_reserve: failed to allocate compute buffers",
            "1.06.520.107 W sched_reserve: compute buffer allocation failed, retrying without "
            "pipeline parallelism",
            "1.06.620.084 E ggml_gallocr_reserve_n_impl: failed to allocate CUDA1 buffer of size "
            "13565616128",
        ],
        Shortage("the compute buffer", 13565616128),
    ),
    # mozilla-ai/llamafile#501
    "compute in host memory": (
        [
            "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 84940832",
            "ggml_gallocr_reserve_n: failed to allocate CPU buffer of size 84940800",
            "llama_new_context_with_model: failed to allocate compute buffers",
        ],
        Shortage("the compute buffer", 84940800, on_host=True),
    ),
    # ggml-org/llama.cpp#10956
    "an abort in host memory": (
        [
            "ggml_aligned_malloc: insufficient memory (attempted to allocate 655521.35 MB)",
            'ggml-backend.cpp:262: GGML_ASSERT(buf != NULL && "tensor buffer not set") failed',
        ],
        Shortage("a buffer", round(655521.35 * MIB), on_host=True),
    ),
    "recurrent state": (
        [
            "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 1048576",
            "llama_init_from_model: failed to initialize the context: "
            "failed to allocate buffer for rs cache",
        ],
        Shortage("the recurrent state", 1048576, on_host=True),
    ),
    "logits": (
        ["output_reserve: failed to allocate output buffer of size 593.50 MiB"],
        Shortage("the logits", round(593.5 * MIB)),
    ),
    # ollama/ollama#9782
    "CUDA while it computes": (
        [
            "CUDA error: out of memory",
            "  current device: 0, in function alloc at ggml-cuda.cu:428",
            "  cuMemCreate(&handle, reserve_size, &prop, 0)",
        ],
        Shortage("a buffer", 0),
    ),
    # ggml-org/llama.cpp#1230
    "CUDA, long ago": (
        ["CUDA error 2 at ggml-cuda.cu:359: out of memory"],
        Shortage("a buffer", 0),
    ),
    # ggml-org/llama.cpp#15256
    "Vulkan": (
        [
            "ggml_vulkan: Device memory allocation of size 118497280 failed.",
            "ggml_vulkan: vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
            "double free or corruption (out)",
        ],
        Shortage("a buffer", 118497280),
    ),
    # ggml-org/llama.cpp#18160
    "Vulkan's largest buffer": (
        [
            "ggml_vulkan: Requested buffer size exceeds device buffer size limit: "
            "ErrorOutOfDeviceMemory",
            "ggml_gallocr_reserve_n_impl: failed to allocate Vulkan0 buffer of size 8753520640",
            "graph_reserve: failed to allocate compute buffers",
        ],
        Shortage("the compute buffer", 8753520640),
    ),
    # ggml-org/llama.cpp#8492
    "Mesa": (
        ["MESA: error: ../src/intel/vulkan/anv_device.c:4237: VK_ERROR_OUT_OF_DEVICE_MEMORY"],
        Shortage("a buffer", 0),
    ),
    # ggml-org/llama.cpp#28953
    "SYCL": (
        [
            "ggml_backend_sycl_buffer_type_alloc_buffer: can't allocate 2303168640 Bytes of "
            "memory on device"
        ],
        Shortage("a buffer", 2303168640),
    ),
    # BodhiSearch/BodhiApp#4
    "compute on Metal": (
        ["ggml_gallocr_reserve_n: failed to allocate Metal buffer of size 8891928576"],
        Shortage("the compute buffer", 8891928576),
    ),
    # ggml-org/llama.cpp#9701
    "Metal while it computes": (
        [
            "ggml_metal_synchronize: error: command buffer 0 failed with status 5",
            "error: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
        ],
        Shortage("a buffer", 0),
    ),
    "the file does not fit into the address space": (
        ["llama_model_load: error loading model: mmap failed: Cannot allocate memory"],
        Shortage("mapping the file", 0, on_host=True),
    ),
    # ggml-org/llama.cpp#4928
    "C++": (
        [
            "terminate called after throwing an instance of 'std::bad_alloc'",
            "  what():  std::bad_alloc",
        ],
        Shortage("a buffer", 0, on_host=True),
    ),
}

OTHERS = {
    # ollama/ollama#9782
    "Ollama": (
        [
            "Error: llama runner process has terminated: cudaMalloc failed: out of memory",
            "ggml_gallocr_reserve_n: failed to allocate CUDA0 buffer of size 838447104",
        ],
        Shortage("the compute buffer", 838447104),
    ),
    "Ollama's own count": (
        ["Error: model requires more system memory (8.4 GiB) than is available (5.1 GiB)"],
        Shortage("a buffer", round(8.4 * GIB), on_host=True),
    ),
    # pytorch/pytorch#16417
    "PyTorch": (
        [
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 22.00 MiB. GPU 0 has a "
            "total capacity of 23.65 GiB of which 11.06 MiB is free."
        ],
        Shortage("a buffer", 22 * MIB),
    ),
    # wxian3/NeuroLens#2
    "PyTorch 2.1": (
        [
            "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 55.57 GiB. GPU 0 "
            "has a total capacty of 12.00 GiB of which 9.02 GiB is free."
        ],
        Shortage("a buffer", round(55.57 * GIB)),
    ),
    # pytorch/pytorch#59778
    "PyTorch 1": (
        [
            "RuntimeError: CUDA out of memory. Tried to allocate 2.26 GiB (GPU 0; 6.00 GiB total "
            "capacity; 781.59 MiB already allocated; 3.03 GiB free)"
        ],
        Shortage("a buffer", round(2.26 * GIB)),
    ),
    # JingyunLiang/VRT#49
    "PyTorch on the host": (
        [
            "RuntimeError: [enforce fail at alloc_cpu.cpp:73] . DefaultCPUAllocator: can't "
            "allocate memory: you tried to allocate 116813856768 bytes. Error code 12 "
            "(Cannot allocate memory)"
        ],
        Shortage("a buffer", 116813856768, on_host=True),
    ),
    "NumPy": (
        [
            "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 1.50 GiB for an array "
            "with shape (1, 2)"
        ],
        Shortage("a buffer", round(1.5 * GIB), on_host=True),
    ),
    # vllm-project/vllm#10439
    "vLLM": (
        [
            "ValueError: No available memory for the cache blocks. Try increasing "
            "`gpu_memory_utilization` when initializing the engine."
        ],
        Shortage("the KV cache", 0),
    ),
    "vLLM for one request": (
        [
            "ValueError: To serve at least one request with the models's max seq len (131072), "
            "(16.00 GiB KV cache is needed, which is larger than the available KV cache memory "
            "(3.05 GiB)."
        ],
        Shortage("the KV cache", 16 * GIB),
    ),
    # turboderp-org/exllamav2#383
    "ExLlamaV2": (
        ["RuntimeError: Insufficient VRAM for model and cache"],
        Shortage("the model and its cache", 0),
    ),
    # turboderp-org/exllamav3#50
    "ExLlamaV3": (
        ["RuntimeError: Insufficient VRAM in split for model and cache"],
        Shortage("the model and its cache", 0),
    ),
}

NO_SHORTAGE = {
    "nothing": [],
    "another reason": ["error loading model: unknown model architecture: 'x'"],
    # ggml-org/llama.cpp#1233: it goes on with memory that is not pinned
    "pinned": [
        "ggml_cuda_host_malloc: failed to allocate 349659.17 MiB of pinned memory: out of memory"
    ],
    # ggml-org/llama.cpp#9271
    "pinned, Vulkan": ["ggml_vulkan: Failed to allocate pinned memory."],
    # abetlen/llama-cpp-python#254
    "mlock": [
        "warning: failed to mlock 4212486144-byte buffer (after previously locking 0 bytes): "
        "Cannot allocate memory",
        "Try increasing RLIMIT_MLOCK ('ulimit -l' as root).",
    ],
    # ikawrakow/ik_llama.cpp#655
    "munlock": ["warning: failed to munlock buffer: Cannot allocate memory"],
    # ggml-org/llama.cpp#5293
    "VirtualLock": [
        "failed to VirtualLock 101449728-byte buffer (after previously locking 17901879296 bytes)"
    ],
    # h2oai/h2ogpt#1311
    "Metal's warning": [
        "warning: current allocated size is greater than the recommended max working set size"
    ],
    # ggml-org/llama.cpp#6603
    "a full context": ["failed to find free space in the KV cache"],
    "a sound load": ["load_tensors:        CUDA0 model buffer size =  2024.21 MiB"],
}


@pytest.mark.parametrize(("lines", "wanted"), LLAMA_CPP.values(), ids=LLAMA_CPP)
def test_llama_cpp_says_what_ran_out(lines: list[str], wanted: Shortage) -> None:
    assert shortage_of(lines) == wanted


@pytest.mark.parametrize(("lines", "wanted"), OTHERS.values(), ids=OTHERS)
def test_other_engines_say_what_ran_out(lines: list[str], wanted: Shortage) -> None:
    assert shortage_of(lines) == wanted


@pytest.mark.parametrize("lines", NO_SHORTAGE.values(), ids=NO_SHORTAGE)
def test_what_an_engine_does_without_is_no_shortage(lines: list[str]) -> None:
    assert shortage_of(lines) is None


@pytest.mark.parametrize(("lines", "wanted"), LLAMA_CPP.values(), ids=LLAMA_CPP)
def test_a_warning_beside_it_changes_nothing(lines: list[str], wanted: Shortage) -> None:
    warnings = [line for given in NO_SHORTAGE.values() for line in given]
    assert shortage_of([*warnings, *lines, *warnings]) == wanted


@given(st.lists(st.text(max_size=200), max_size=5))
def test_no_log_breaks_the_reading(lines: list[str]) -> None:
    shortage_of(lines)
