"""``modeldeck fit``: the verdict a script gets, the page a person reads, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modeldeck.engines.hardware.types import (
    GpuProcess,
    GpuSnapshot,
    HardwareSnapshot,
    HostSnapshot,
)
from modeldeck.tui.cli import main
from modeldeck.tui.services import Services
from tests.support.decks import dense
from tests.support.file_server import serving
from tests.support.gguf_files import write_llama

Captured = pytest.CaptureFixture[str]
MIB = 1 << 20


@pytest.fixture
def model(fresh_home: Path) -> Path:
    """A small sound model."""
    path = fresh_home / "small-Q8_0.gguf"
    write_llama(path)
    return path


def judged(capsys: Captured, *words: str, code: int = 0) -> list[dict[str, Any]]:
    assert main(["fit", *words, "--json"]) == code
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_without_a_gpu_the_reference_card_is_judged_for_and_said(
    model: Path, capsys: Captured
) -> None:
    assert main(["fit", str(model), "--json"]) == 0
    out, err = capsys.readouterr()
    assert "RTX 3060 12GB" in err
    (record,) = json.loads(out)
    assert (record["verdict"], record["free"]) == ("fits", 11906 * MIB)
    assert record["margin"] == 256 * MIB


@pytest.mark.parametrize(
    ("words", "free_bytes"),
    [
        (["--vram", "12GiB"], 11906 * MIB),
        (["--vram", "10000MiB"], 9700 * MIB),
        (["--vram", "10GB"], 9_700_000_000),
        (["--vram", "12GiB", "--free", "4GiB"], 4096 * MIB),
        (["--free", "4GB"], 4_000_000_000),
        (["--gpu", "RTX 3090"], 24124 * MIB),
    ],
)
def test_sizes_are_what_they_say(
    words: list[str], free_bytes: int, model: Path, capsys: Captured
) -> None:
    (record,) = judged(capsys, str(model), *words)
    assert record["free"] == free_bytes


@pytest.mark.parametrize("text", ["2k", "2K", "2048"])
def test_a_context_may_be_given_in_k(text: str, model: Path, capsys: Captured) -> None:
    (record,) = judged(capsys, str(model), "--ctx", text)
    assert record["options"]["ctx"] == 2048


def test_what_is_given_is_in_the_options_as_given(model: Path, capsys: Captured) -> None:
    words = "--ctx 1000 --kv f32 --ubatch 64 --slots 2 --ngl 2 --n-cpu-moe 1 --swa-full"
    (record,) = judged(capsys, str(model), *words.split(), "--no-flash-attn")
    assert record["options"] == {
        "ctx": 1000,
        "kv": "f32",
        "ubatch": 64,
        "slots": 2,
        "kv_unified": True,
        "ngl": 2,
        "n_cpu_moe": 1,
        "flash_attn": False,
        "swa_full": True,
    }
    assert (record["verdict"], record["layers_gpu"], record["layers"]) == ("fits-partial", 1, 2)


def test_it_fits_at_exactly_total_and_margin(model: Path, capsys: Captured) -> None:
    (record,) = judged(capsys, str(model), "--ngl", "99", "--margin", "100MiB")
    enough = record["bill"]["total_gpu"] + 100 * MIB
    words = (str(model), "--ngl", "99", "--margin", "100MiB", "--free")
    (there,) = judged(capsys, *words, str(enough))
    (short,) = judged(capsys, *words, str(enough - 1), code=3)
    assert (there["fits_now"], there["verdict"]) == (True, "fits")
    assert (short["fits_now"], short["verdict"]) == (False, "does-not-fit")
    assert short["bill"] == there["bill"]
    assert short["advice"]


def test_too_little_memory_of_the_machine_does_not_fit(model: Path, capsys: Captured) -> None:
    (record,) = judged(capsys, str(model), "--ngl", "0", "--ram", "1KiB", code=3)
    assert record["verdict"] == "does-not-fit"
    assert record["max_ctx"] == 0


def test_targets_keep_their_order_and_a_bad_one_its_problem(model: Path, capsys: Captured) -> None:
    first, bad, last = judged(capsys, str(model), "nothing\x1b[31m", str(model), code=1)
    assert first["verdict"] == last["verdict"] == "fits"
    assert bad["verdict"] is None
    assert "There is no model called" in bad["problem"]
    assert list(bad) == list(first)


def test_a_target_is_given_back_as_it_was_typed(model: Path, capsys: Captured) -> None:
    typed = ["nothing\x1b[31m", "x" * 400, "~nobody-here/x.gguf", f"{model.parent}/./{model.name}"]
    records = judged(capsys, *typed, code=1)
    assert [record["target"] for record in records] == typed


def test_an_option_beyond_the_model_is_given_back_as_it_was_given(
    model: Path, capsys: Captured
) -> None:
    (record,) = judged(capsys, str(model), "--ngl", "99", "--n-cpu-moe", "50")
    assert (record["options"]["ngl"], record["options"]["n_cpu_moe"]) == (99, 50)
    assert (record["layers_gpu"], record["layers"]) == (2, 2)


def test_what_does_not_fit_says_of_how_many_layers_its_bill_is(
    model: Path, capsys: Captured
) -> None:
    (record,) = judged(capsys, str(model), "--ngl", "2", "--free", "1MiB", code=3)
    assert (record["verdict"], record["layers_gpu"], record["max_ctx"]) == ("does-not-fit", 1, 0)


def test_ollamas_slots_have_a_cache_each(model: Path, capsys: Captured) -> None:
    (record,) = judged(capsys, str(model), "--engine", "ollama", "--slots", "2")
    assert record["options"]["kv_unified"] is False


def test_what_cannot_run_fits_nowhere(model: Path, capsys: Captured) -> None:
    (record,) = judged(capsys, str(model), "--kv", "q8_0", "--no-flash-attn", code=3)
    assert (record["verdict"], record["fits_now"], record["fits_empty"]) == (
        "cannot-run",
        False,
        False,
    )


def test_quantisations_beside_a_file_that_is_not_listed_are_judged_too(
    model: Path, capsys: Captured
) -> None:
    write_llama(model.with_name("small-F16.gguf"))
    write_llama(model.with_name("other-F16.gguf"))
    model.with_name("small-Q4_0.gguf").write_bytes(b"GGUF\x03")
    records = judged(capsys, str(model), "--all-quants", code=1)
    assert sorted(record["target"] for record in records) == [
        "small-F16",
        "small-Q4_0",
        "small-Q8_0",
    ]


def test_a_folder_is_the_model_in_it(
    model: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model.parent)
    (record,) = judged(capsys, ".")
    assert record["verdict"] == "fits"
    write_llama(model.with_name("other-F16.gguf"))
    (record,) = judged(capsys, ".", code=1)
    assert "Say which: other-F16.gguf, small-Q8_0.gguf" in record["problem"]


def test_all_quantisations_are_judged_the_largest_first(model: Path, capsys: Captured) -> None:
    write_llama(model.with_name("small-F16.gguf"))
    write_llama(model.with_name("other-F16.gguf"))
    config = model.parent / ".config" / "modeldeck" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'model_dirs = ["{model.parent}"]\n', encoding="utf-8")
    records = judged(capsys, str(model), "--all-quants")
    assert sorted(record["target"] for record in records) == ["small-F16", "small-Q8_0"]


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["x", "--ctx", "0"], "“0” is no number of tokens from 1 up, like 32768 or 32k"),
        (["x", "--ctx", "32kB"], "“32kB” is no number of tokens"),
        (["x", "--ctx", "9999999M"], "“9999999M” is no number of tokens"),
        (["x", "--ngl", "-1"], "“-1” is no whole number from 0 up"),
        (["x", "--kv", "q9"], "“q9” is no cache type"),
        (["x", "--engine", "steam"], "There is no engine called “steam”."),
        (["x", "--margin", "much"], "“much” is no size"),
        (["x", "--gpu", "RTX 3060", "--vram", "8GiB"], "--gpu and --vram both name the card"),
        ([], "There is nothing to judge."),
    ],
)
def test_a_wrong_word_says_what_is_wrong(
    words: list[str], cause: str, fresh_home: Path, capsys: Captured
) -> None:
    assert main(["fit", *words]) == 2
    err = capsys.readouterr().err
    assert cause in err
    assert "next:" in err


def test_an_engine_that_cannot_load_it(model: Path, capsys: Captured) -> None:
    (record,) = judged(capsys, str(model), "--engine", "exllamav3", code=3)
    assert (record["verdict"], record["max_ctx"], record["engine"]) == (
        "cannot-run",
        0,
        "exllamav3",
    )


def test_people_read_the_bill_and_the_command_within_eighty_columns(
    model: Path, capsys: Captured
) -> None:
    assert main(["fit", str(model), "--ctx", "2048"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("  fits: ")
    assert any(line.startswith("  KV cache") for line in lines)
    assert lines[-1].startswith("  llama-server -m ")
    assert all(len(line) <= 80 or "llama-server" in line or str(model) in line for line in lines)


def test_a_model_that_is_not_downloaded_is_judged_like_the_file(
    model: Path, capsys: Captured
) -> None:
    with serving({"/m.gguf": model.read_bytes()}) as server:
        (there,) = judged(capsys, f"{server.url}/m.gguf")
        assert main(["fit", f"{server.url}/m.gguf"]) == 0
        assert f"llama-server -mu {server.url}/m.gguf -c " in capsys.readouterr().out
    (here,) = judged(capsys, str(model))
    assert there["bill"] == here["bill"]


def test_the_guides_claims_are_answered(fresh_home: Path, capsys: Captured) -> None:
    assert main(["fit", "--guide", "--json"]) == 0
    truths = json.loads(capsys.readouterr().out)
    assert {"claim", "holds", "truth", "arithmetic"} == set(truths[0])
    assert main(["fit", "--guide"]) == 0
    out = capsys.readouterr().out
    assert "not so: 7B FP16 runs on 12 GB" in out
    assert all(len(line) <= 80 for line in out.splitlines())


def gpu(index: int, free_bytes: int, *processes: GpuProcess) -> GpuSnapshot:
    total = 12288 * MIB
    return GpuSnapshot(
        number=index,
        name="NVIDIA GeForce RTX 3060",
        memory_total_bytes=total,
        memory_used_bytes=total - free_bytes,
        memory_free_bytes=free_bytes,
        memory_reserved_bytes=382 * MIB,
        processes=processes,
    )


def machine(monkeypatch: pytest.MonkeyPatch, *gpus: GpuSnapshot) -> None:
    """Pretend that these cards are here."""
    host = HostSnapshot("box", "a processor", 8, None, 64 << 30, 32 << 30)
    snapshot = HardwareSnapshot(gpus, host)

    def sample(_self: Services, _pid: int | None) -> tuple[HardwareSnapshot, None]:
        return snapshot, None

    monkeypatch.setattr(Services, "sample", sample)


def test_who_holds_memory_is_named_and_would_have_to_go(
    model: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, gpu(0, 300 * MIB, GpuProcess(1, "blender", 9000 * MIB)))
    (record,) = judged(capsys, str(model), "--ngl", "99", code=3)
    assert record["bill"]["other_processes"] == [{"name": "blender", "bytes": 9000 * MIB}]
    assert (record["free"], record["fits_now"], record["fits_empty"]) == (300 * MIB, False, True)
    assert "end blender: frees 8.8 GiB" in record["advice"]


def test_what_the_deck_itself_holds_counts_as_free_and_is_named(
    model: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = GpuProcess(77, "Qwen3-8B", 9000 * MIB, deck=70)
    machine(monkeypatch, gpu(0, 300 * MIB, held))
    assert main(["fit", str(model), "--json"]) == 0
    out, err = capsys.readouterr()
    (record,) = json.loads(out)
    assert record["free"] == 9300 * MIB
    assert record["bill"]["other_processes"] == []
    assert "counted as free: what the deck holds for Qwen3-8B (8.8 GiB)" in err


def test_several_cards_share_what_one_does_not_hold(
    fresh_home: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(dense(fresh_home, "Middle-8B", blocks=32, embedding=4096))
    free = judged(capsys, model)[0]["bill"]["total_gpu"] * 3 // 4
    machine(monkeypatch, gpu(0, free), gpu(1, free))
    (record,) = judged(capsys, model)
    assert (record["verdict"], record["layers_gpu"]) == ("fits", 32)
    assert (record["fits_now"], record["free"]) == (True, 2 * free)
    assert record["split"] == {"mode": "layer", "shares": [17, 16]}
    assert [one["blocks"] for one in record["devices"]] == [17, 15]
    taken = sum(one["total"] for one in record["devices"])
    assert taken == pytest.approx(record["bill"]["total_gpu"], abs=2)
    (one,) = judged(capsys, model, "--free", str(free))
    assert (one["verdict"], one["split"]) == ("fits-partial", None)


def test_cards_that_are_named_again_are_judged_together(model: Path, capsys: Captured) -> None:
    words = ("--gpu", "RTX 3060 12GB", "--gpu", "RTX 3090", "--engine", "llama_server")
    (record,) = judged(capsys, str(model), *words)
    assert record["free"] == (11906 + 24124) * MIB
    assert record["split"] == {"mode": "none", "shares": [0, 1]}
    assert record["devices"] is None
    assert main(["fit", str(model), *words]) == 0
    out, err = capsys.readouterr()
    assert "judged for: RTX 3060 12GB + RTX 3090 24GB" in err
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID llama-server" in out
    assert "--split-mode none --main-gpu 1" in out
