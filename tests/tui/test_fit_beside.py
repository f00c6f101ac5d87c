"""``modeldeck fit --draft`` and ``--lora``: what is loaded beside a model is priced with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modeldeck.tui.cli import main
from tests.support.gguf_files import F16, Tensor, Value, write_gguf, write_llama

Captured = pytest.CaptureFixture[str]
CARD = ("--gpu", "RTX 3060 12GB")
CHANGED = ("token_embd", "blk.0.attn_q", "blk.1.attn_q", "output")
ONE_TENSOR_BYTES = 64 * 16 * 2


@pytest.fixture
def model(fresh_home: Path) -> Path:
    path = fresh_home / "models" / "small-F16.gguf"
    write_llama(path)
    return path


def adapter(folder: Path, architecture: str = "llama", kind: str = "lora") -> Path:
    """Rank 16 over four tensors 64 wide."""
    metadata: dict[str, Value] = {
        "general.architecture": architecture,
        "general.type": "adapter",
        "adapter.type": kind,
        "adapter.lora.alpha": 16.0,
    }
    tensors = [
        Tensor(f"{name}.weight.lora_{half}", (64, 16) if half == "a" else (16, 64), F16)
        for name in CHANGED
        for half in "ab"
    ]
    return write_gguf(folder / f"adapter-{architecture}-{kind}.gguf", metadata, tensors)


def judged(capsys: Captured, *words: str, code: int = 0) -> dict[str, Any]:
    assert main(["fit", *words, *CARD, "--json"]) == code
    (record,) = json.loads(capsys.readouterr().out)
    found: dict[str, Any] = record
    return found


def test_an_adapter_lies_where_the_tensors_lie_that_it_changes(
    model: Path, tmp_path: Path, capsys: Captured
) -> None:
    lora, pair = str(adapter(tmp_path)), 2 * ONE_TENSOR_BYTES
    for layers, on_gpu in (("3", 3), ("2", 2), ("1", 1), ("0", 0)):
        plain = judged(capsys, str(model), "--ngl", layers)["bill"]
        bill = judged(capsys, str(model), "--ngl", layers, "--lora", lora)["bill"]
        assert (bill["lora"], bill["lora_host"]) == (on_gpu * pair, (4 - on_gpu) * pair)
        assert bill["total_gpu"] - plain["total_gpu"] == on_gpu * pair
        assert bill["total_host"] - plain["total_host"] == (4 - on_gpu) * pair
    twice = judged(capsys, str(model), "--ngl", "3", "--lora", lora, "--lora", lora)["bill"]
    assert twice["lora"] == 6 * pair


def test_a_draft_is_a_second_model_without_a_second_context_of_cuda(
    model: Path, capsys: Captured
) -> None:
    words = (str(model), "--ctx", "1024", "--kv", "f32")
    own = judged(capsys, str(model), "--ctx", "1024")["bill"]
    plain = judged(capsys, *words)["bill"]
    bill = judged(capsys, *words, "--draft", str(model))["bill"]
    assert bill["draft"] == own["total_gpu"] - own["context_overhead"]
    assert bill["total_gpu"] == plain["total_gpu"] + bill["draft"]
    assert bill["total_host"] == plain["total_host"] + own["total_host"]


def test_the_command_loads_both_beside_the_model(
    model: Path, tmp_path: Path, capsys: Captured
) -> None:
    lora = adapter(tmp_path)
    words = ["fit", str(model), "--draft", str(model), "--lora", str(lora), *CARD]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert f"--lora {lora} -md {model} -ngld 999" in out
    assert "adapters" in out
    assert main([*words, "--ngl", "0"]) == 0
    assert f"-md {model} -ngld 0 -devd none" in capsys.readouterr().out


def test_what_cannot_go_with_a_model_is_refused(
    model: Path, tmp_path: Path, capsys: Captured
) -> None:
    other, fitting = str(adapter(tmp_path, "qwen3")), str(adapter(tmp_path))
    assert main(["fit", str(model), "--lora", other, *CARD]) == 3
    assert "the adapter is for qwen3, the model is llama" in capsys.readouterr().out
    assert main(["fit", str(model), "--lora", fitting, "--engine", "ollama", *CARD]) == 3
    assert "for llama_server alone" in capsys.readouterr().out
    for wrong in (str(model), str(adapter(tmp_path, kind="control_vector"))):
        assert main(["fit", str(model), "--lora", wrong, *CARD]) == 1
        assert "is no LoRA adapter" in capsys.readouterr().err
    assert main(["fit", str(model), "--lora", str(tmp_path / "gone.gguf"), *CARD]) == 1
    assert "cannot be read" in capsys.readouterr().err
