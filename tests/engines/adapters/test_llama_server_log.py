"""What llama.cpp's log says: lines as its builds write them."""

from __future__ import annotations

import pytest

from modeldeck.engines.adapters.llama_server_log import device_of, reason_of, stage_of


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        (
            "0.00.025.535 I load_tensors: loading model tensors, this can take a while... "
            "(load_mode = none)",
            "reading weights",
        ),
        (
            "load_tensors: loading model tensors, this can take a while... (mmap = true)",
            "reading weights",
        ),
        ("0.01.011.574 I llama_context: constructing llama_context", "making the context"),
        (
            "common_init_from_params: warming up the model with an empty run - please wait ...",
            "warming up",
        ),
        ("0.00.013.973 I llama_model_loader: - type q8_0:   72 tensors", None),
        ("", None),
    ],
)
def test_a_line_begins_a_stage(line: str, stage: str | None) -> None:
    found = stage_of(line)

    assert (found and found[0]) == stage


def test_stages_follow_each_other() -> None:
    lines = ["loading model tensors", "constructing llama_context", "warming up the model"]
    shares = [found[1] for line in lines if (found := stage_of(line))]

    assert shares == sorted(set(shares))
    assert shares[0] > 0
    assert shares[-1] < 1


@pytest.mark.parametrize(
    ("lines", "device"),
    [
        ([], "CPU"),
        (["0.00.026.868 I load_tensors:          CPU model buffer size =   131.83 MiB"], "CPU"),
        (
            [
                "load_tensors:   CPU_Mapped model buffer size =   131.83 MiB",
                "load_tensors:   CPU_REPACK model buffer size =   100.00 MiB",
            ],
            "CPU",
        ),
        (
            [
                "load_tensors: offloading 28 repeating layers to GPU",
                "load_tensors:   CPU_Mapped model buffer size =   292.36 MiB",
                "load_tensors:        CUDA0 model buffer size =  2024.21 MiB",
                "llama_kv_cache:      CUDA0 KV buffer size =   448.00 MiB",
            ],
            "CUDA0+CPU",
        ),
        (
            [
                "load_tensors:        CUDA0 model buffer size =  2024.21 MiB",
                "load_tensors:        CUDA1 model buffer size =  2024.21 MiB",
                "load_tensors:        CUDA0 model buffer size =     1.00 MiB",
            ],
            "CUDA0+CUDA1",
        ),
        (["load_tensors:      Vulkan0 model buffer size =  2024.21 MiB"], "Vulkan0"),
        (["llama_context:        CPU  output buffer size =     0.02 MiB"], "CPU"),
    ],
)
def test_the_device_is_where_the_weights_went(lines: list[str], device: str) -> None:
    assert device_of(lines) == device


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["all is well"], ""),
        (
            [
                "0.00.013.1 E llama_model_load: error loading model: error loading model "
                "architecture: unknown model architecture: 'lamma'",
                "0.00.013.2 E llama_model_load_from_file_impl: failed to load model",
            ],
            "this build of llama.cpp does not know the architecture lamma",
        ),
        (
            ["llama_model_load: error loading model: unknown pre-tokenizer type: 'qwen9'"],
            "this build of llama.cpp does not know the tokenizer qwen9",
        ),
        (
            [
                "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 9999.00 MiB on device 0: "
                "cudaMalloc failed: out of memory",
                "llama_model_load: error loading model: unable to allocate CUDA0 buffer",
            ],
            "memory ran out for the weights (9999 MiB)",
        ),
        (
            ["0.00.4 E llama_model_load: error loading model: llama_model_loader: failed to load"],
            "failed to load",
        ),
        (["gguf_init_from_file_impl: invalid magic characters: 'abcd'"], None),
        (["/src/ggml.c:1234: GGML_ASSERT(ne0 > 0) failed"], None),
        (
            [
                "0.00.019.335 E llama_init_from_model: K cache type q8_0 with block size 32 does "
                "not divide n_embd_head_k=16",
                "0.00.019.454 E cmn  common_init_: failed to create context with model 'm.gguf'",
            ],
            "K cache type q8_0 with block size 32 does not divide n_embd_head_k=16",
        ),
        (["error: invalid argument: --fit"], "invalid argument: --fit"),
    ],
)
def test_the_first_reason_in_the_log_counts(lines: list[str], reason: str | None) -> None:
    found = reason_of(lines)

    if reason is None:
        assert found
        assert "\n" not in found
    else:
        assert found == reason
