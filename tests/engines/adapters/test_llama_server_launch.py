"""A plan reaches llama.cpp whole, in flags and in the wheel's attributes, whatever the build."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from modeldeck.engines.adapters.llama_server_address import Address
from modeldeck.engines.adapters.llama_server_dialect import MODERN, Dialect, dialect_of
from modeldeck.engines.adapters.llama_server_launch import server_words, wheel_settings
from modeldeck.engines.errors import EngineMissing, LoadFailed
from modeldeck.engines.types import Draft, LocalModel, Plan, Split
from tests.support.llama_server import OLD_LACKS, TODAY_LACKS, help_text

MODEL = Path("m.gguf")
SOCKET = Address(Path("s.sock"))
PLAN = Plan(threads=3)

# Each field with another value: what the command then has, and what the wheel is told.
CHANGES: list[tuple[dict[str, object], tuple[str, ...], dict[str, object]]] = [
    ({"context_tokens": 777}, ("-c", "777"), {"n_ctx": 777}),
    (
        {"kv_type": "q8_0"},
        ("-ctk", "q8_0", "-ctv", "q8_0"),
        {
            "cache_type_k": {"enum": "ggml_type", "name": "GGML_TYPE_Q8_0"},
            "cache_type_v": {"enum": "ggml_type", "name": "GGML_TYPE_Q8_0"},
        },
    ),
    ({"slots": 4}, ("-np", "4"), {"n_parallel": 4}),
    ({"batch_tokens": 99}, ("-b", "99"), {"n_batch": 99}),
    ({"micro_batch_tokens": 98}, ("-ub", "98"), {"n_ubatch": 98}),
    (
        {"flash_attention": False},
        ("-fa", "off"),
        {
            "flash_attn_type": {
                "enum": "llama_flash_attn_type",
                "name": "LLAMA_FLASH_ATTN_TYPE_DISABLED",
            }
        },
    ),
    ({"gpu_layers": 7}, ("-ngl", "7"), {"n_gpu_layers": 7}),
    (
        {"cpu_moe_blocks": 2},
        ("--n-cpu-moe", "2"),
        {"tensor_buft_overrides": r"blk\.(0|1)\.ffn_(up|down|gate|gate_up)_(ch|)exps=CPU"},
    ),
    ({"swa_full": True}, ("--swa-full",), {"swa_full": True}),
    (
        {"threads": 5},
        ("-t", "5"),
        {"cpuparams.n_threads": 5, "cpuparams_batch.n_threads": 5},
    ),
    (
        {"mmap": False},
        ("--load-mode", "none"),
        {"load_mode": {"enum": "llama_load_mode", "name": "LLAMA_LOAD_MODE_NONE"}},
    ),
    (
        {"split": Split("layer", (21, 20))},
        ("--split-mode", "layer", "--tensor-split", "21,20"),
        {
            "split_mode": {"enum": "llama_split_mode", "name": "LLAMA_SPLIT_MODE_LAYER"},
            "tensor_split": [21.0, 20.0, *[0.0] * 126],
        },
    ),
    (
        {"split": Split("none", (0, 1))},
        ("--split-mode", "none", "--main-gpu", "1"),
        {
            "split_mode": {"enum": "llama_split_mode", "name": "LLAMA_SPLIT_MODE_NONE"},
            "main_gpu": 1,
        },
    ),
    (
        {"adapters": ("a.gguf", "b.gguf")},
        ("--lora", "a.gguf", "--lora", "b.gguf"),
        {
            "lora_adapters": [
                {"class": "CommonAdapterLoraInfo", "path": name, "scale": 1.0}
                for name in ("a.gguf", "b.gguf")
            ]
        },
    ),
    (
        {"draft": Draft("small.gguf", 5)},
        (
            *("--spec-type", "draft-simple", "--spec-draft-n-max", "5"),
            *("-md", "small.gguf", "-ngld", "999", "-ctkd", "f16", "-ctvd", "f16"),
        ),
        {
            "speculative.types": [
                {
                    "enum": "common_speculative_type",
                    "name": "COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE",
                }
            ],
            "speculative.draft.n_max": 5,
            "load_mtp": False,
            "speculative.draft.mparams.path": "small.gguf",
            "speculative.draft.n_gpu_layers": 999,
        },
    ),
    (
        {"draft": Draft()},
        ("--spec-type", "draft-mtp", "--spec-draft-n-max", "3", "-ctkd", "f16", "-ctvd", "f16"),
        {
            "speculative.types": [
                {
                    "enum": "common_speculative_type",
                    "name": "COMMON_SPECULATIVE_TYPE_DRAFT_MTP",
                }
            ],
            "speculative.draft.n_max": 3,
            "load_mtp": True,
        },
    ),
]


def has(words: tuple[str, ...], part: tuple[str, ...]) -> bool:
    return any(words[at : at + len(part)] == part for at in range(len(words)))


def plan_with(change: dict[str, object]) -> Plan:
    return PLAN._replace(**change)  # type: ignore[arg-type]


def test_the_table_below_has_every_field_of_a_plan() -> None:
    assert {name for change, _, _ in CHANGES for name in change} == set(Plan._fields)


@pytest.mark.parametrize(("change", "words", "settings"), CHANGES, ids=lambda part: str(part)[:24])
def test_a_field_of_the_plan_reaches_both_servers(
    change: dict[str, object], words: tuple[str, ...], settings: dict[str, object]
) -> None:
    told = wheel_settings(MODEL, plan_with(change), SOCKET, "key")
    before = wheel_settings(MODEL, PLAN, SOCKET, "key")

    assert has(server_words("llama-server", MODEL, plan_with(change), None), words)
    assert not has(server_words("llama-server", MODEL, PLAN, None), words)
    assert {name: told[name] for name in told if told[name] != before.get(name)} == settings


def test_no_layer_on_the_gpu_keeps_everything_off_it() -> None:
    plan = PLAN._replace(gpu_layers=0)
    told = wheel_settings(MODEL, plan, SOCKET, "key")

    assert has(server_words("llama-server", MODEL, plan, None), ("--device", "none"))
    assert told["no_op_offload"] is True
    assert told["no_kv_offload"] is True


def test_what_drafts_is_where_the_layers_are() -> None:
    plan = PLAN._replace(gpu_layers=0, draft=Draft("small.gguf"))
    told = wheel_settings(MODEL, plan, SOCKET, "key")

    assert told["speculative.draft.n_gpu_layers"] == 0
    words = server_words("llama-server", MODEL, plan, None)
    assert has(words, ("-md", "small.gguf", "-ngld", "0", "-devd", "none"))


def test_the_projector_goes_where_the_layers_go() -> None:
    projector = Path("mmproj-m.gguf")
    told = wheel_settings(MODEL, PLAN, SOCKET, "key", projector=projector)
    on_cpu = PLAN._replace(gpu_layers=0)
    words = server_words("llama-server", MODEL, on_cpu, None, projector=projector)

    assert (told["mmproj.path"], told["mmproj_use_gpu"]) == ("mmproj-m.gguf", True)
    assert has(words, ("--mmproj", "mmproj-m.gguf", "--no-mmproj-offload"))
    assert has(
        server_words("llama-server", MODEL, PLAN, None, projector=projector),
        ("--mmproj", "mmproj-m.gguf"),
    )
    assert "mmproj.path" not in wheel_settings(MODEL, PLAN, SOCKET, "key")


def test_llama_cpp_is_told_to_rewrite_nothing() -> None:
    words = server_words("llama-server", MODEL, PLAN, SOCKET)
    told = wheel_settings(MODEL, PLAN, SOCKET, "key")

    for part in (("--fit", "off"), ("--cache-ram", "0"), ("--kv-unified",)):
        assert has(words, part)
    assert (told["fit_params"], told["cache_ram_mib"], told["kv_unified"]) == (False, 0, True)
    assert (told["ctx_shift"], told["use_jinja"]) == (False, True)


def test_a_socket_needs_no_port_and_a_port_is_loopback() -> None:
    by_socket = server_words("llama-server", MODEL, PLAN, SOCKET)
    by_port = server_words("llama-server", MODEL, PLAN, Address(None, 4321))

    assert has(by_socket, ("--host", "s.sock"))
    assert "--port" not in by_socket
    assert has(by_port, ("--host", "127.0.0.1", "--port", "4321"))


def dialect(lacking: tuple[str, ...] = (), *, old_flash_attention: bool = False) -> Dialect:
    return dialect_of(help_text(lacking, old_flash_attention=old_flash_attention).splitlines())


def test_a_build_of_today_is_spoken_to_as_if_it_had_not_been_asked() -> None:
    for plan in (PLAN, PLAN._replace(gpu_layers=0, cpu_moe_blocks=3, mmap=False)):
        asked = server_words("llama-server", MODEL, plan, SOCKET, dialect(TODAY_LACKS))
        assert asked == server_words("llama-server", MODEL, plan, SOCKET)


def test_an_old_build_without_prediction_ahead_is_not_told_to_do_it() -> None:
    old = dialect(OLD_LACKS, old_flash_attention=True)
    with pytest.raises(LoadFailed, match="does not draft with a model's own blocks"):
        server_words("llama-server", MODEL, PLAN._replace(draft=Draft()), SOCKET, old)


@pytest.mark.parametrize(
    "change", [change for change, _, _ in CHANGES if change.get("draft") != Draft()], ids=str
)
def test_an_old_build_is_given_only_flags_it_knows(change: dict[str, object]) -> None:
    old = dialect(OLD_LACKS, old_flash_attention=True)
    words = server_words("llama-server", MODEL, plan_with(change), SOCKET, old)
    flags = [word for word in words[1:] if word.startswith("-")]

    assert old.flags is not None
    assert set(flags) <= old.flags
    assert "on" not in words
    assert "off" not in words


def test_an_old_build_hears_the_same_in_other_words() -> None:
    old = dialect(OLD_LACKS, old_flash_attention=True)
    plan = PLAN._replace(cpu_moe_blocks=2, mmap=False, draft=Draft("small.gguf", 4))
    words = server_words("llama-server", MODEL, plan, SOCKET, old)
    without = server_words("llama-server", MODEL, PLAN._replace(flash_attention=False), SOCKET, old)

    override = r"blk\.(0|1)\.ffn_(up|down|gate|gate_up)_(ch|)exps=CPU"
    assert has(words, ("--override-tensor", override))
    assert has(words, ("--draft-max", "4", "-md", "small.gguf", "-ngld", "999"))
    assert "--no-mmap" in words
    assert "-fa" in words
    assert "-fa" not in without
    assert "-lv" not in words


def test_flags_that_a_help_only_mentions_are_not_its_own() -> None:
    found = dialect_of(
        [
            "-m,    --model FNAME                    model path (see also --model-url)",
            "-fa,   --flash-attn [on|off|auto]       set Flash Attention use ('on', 'off')",
            "- none: no special loading mode",
        ]
    )

    assert found.flags == frozenset({"-m", "--model", "-fa", "--flash-attn"})
    assert found.flash_attention_takes_value


@pytest.mark.parametrize("lines", [(), ("error: unknown",), ("usage: llama-server [options]",)])
def test_a_help_that_says_nothing_is_taken_for_todays(lines: tuple[str, ...]) -> None:
    assert dialect_of(lines) == MODERN


async def test_without_any_server_the_next_step_is_to_install_one(
    tiny_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")

    def find_nothing(name: str) -> None:
        """As where the wheel is not installed."""

    monkeypatch.setattr("importlib.util.find_spec", find_nothing)
    engine = LlamaServerEngine()

    probe = await engine.probe()
    with pytest.raises(EngineMissing, match="pip install xllamacpp"):
        await engine.load(tiny_model, Plan())

    assert not probe.available
    assert "No llama.cpp server" in probe.problem
    assert "pip install xllamacpp" in probe.next_step


@pytest.mark.real
async def test_the_wheels_server_says_that_it_did_as_planned(
    slow_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    plan = Plan(
        context_tokens=1024,
        kv_type="q8_0",
        slots=2,
        batch_tokens=256,
        micro_batch_tokens=64,
        flash_attention=True,
        gpu_layers=0,
        threads=1,
        mmap=False,
    )
    engine = LlamaServerEngine()
    try:
        loaded = await engine.load(slow_model, plan)
        log = "\n".join(" ".join(line.split()) for line in engine.log())
    finally:
        await engine.close()

    assert loaded.context_tokens == 1024
    for words in (
        "n_ctx = 1024",
        "n_seq_max = 2",
        "n_batch = 256",
        "n_ubatch = 64",
        "flash_attn = enabled",
        "kv_unified = true",
        "K (q8_0)",
        "V (q8_0)",
        "n_threads = 1",
        "load_mode = none",
    ):
        assert words in log


@pytest.mark.real
async def test_a_cache_that_the_model_cannot_have_is_refused_with_the_reason(
    tiny_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    engine = LlamaServerEngine()

    # Its heads are 16 wide; a block of q8_0 is 32.
    with pytest.raises(LoadFailed, match="does not divide n_embd_head_k=16") as failed:
        await engine.load(tiny_model, Plan(context_tokens=256, kv_type="q8_0"))

    assert "KV type f16" in failed.value.next_step
    assert not await engine.models()
