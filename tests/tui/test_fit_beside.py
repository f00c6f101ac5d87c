"""``modeldeck fit`` with a draft model and adapters beside the model."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from modeldeck.engines.fit import rough
from modeldeck.engines.types import Plan
from modeldeck.tui.cli import main
from tests.support.decks import dense
from tests.support.file_server import serving
from tests.support.gguf_files import Tensor, Value, write_gguf, write_llama
from tests.support.hub import repository
from tests.support.real_widths import WIDTHS

Captured = pytest.CaptureFixture[str]
MIB = 1 << 20
CARD = ("--gpu", "RTX 3060 12GB", "--ram", "32GiB", "--ctx", "8192")


@pytest.fixture
def home(fresh_home: Path) -> Path:
    """A model, a smaller one of its family, one that predicts ahead, and an adapter."""
    models = fresh_home / "models"
    models.mkdir()
    dense(models, "Middle-8B", blocks=32, embedding=4096)
    dense(models, "Small-1B", blocks=16, embedding=2048)
    lora(models / "lora.gguf", "llama")
    lora(models / "other.gguf", "qwen2")
    return fresh_home


SAID: dict[str, Value] = {
    "general.type": "adapter",
    "general.architecture": "llama",
    "adapter.type": "lora",
}


def lora(path: Path, architecture: str) -> None:
    parts = (("lora_a", (4096, 64)), ("lora_b", (64, 4096)))
    tensors = [
        Tensor(f"blk.{block}.attn_q.weight.{part}", shape)
        for block in range(32)
        for part, shape in parts
    ]
    write_gguf(path, SAID | {"general.architecture": architecture}, tensors)


def judged(capsys: Captured, *words: str, code: int = 0) -> dict[str, Any]:
    assert main(["fit", *words, *CARD, "--json"]) == code
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found[0]


def test_a_draft_is_a_term_of_the_bill(home: Path, capsys: Captured) -> None:
    models = home / "models"
    alone = judged(capsys, str(models / "Middle-8B.gguf"))
    small = judged(capsys, str(models / "Small-1B.gguf"))
    both = judged(capsys, str(models / "Middle-8B.gguf"), "--draft", str(models / "Small-1B.gguf"))
    assert alone["bill"]["draft"] == 0
    terms = ("weights_gpu", "kv_gpu", "compute")
    assert both["bill"]["draft"] == sum(small["bill"][term] for term in terms)
    assert both["bill"]["draft_host"] == small["bill"]["total_host"]
    assert both["bill"]["total_gpu"] - alone["bill"]["total_gpu"] == both["bill"]["draft"]
    assert both["max_ctx"] <= alone["max_ctx"]


def test_an_adapter_is_where_its_layers_are(home: Path, capsys: Captured) -> None:
    model, adapter = str(home / "models" / "Middle-8B.gguf"), str(home / "models" / "lora.gguf")
    whole = 32 * 2 * 64 * 4096 * 2
    record = judged(capsys, model, "--lora", adapter)
    assert record["bill"]["lora"] == whole == 32 * MIB
    alone = judged(capsys, model, "--ngl", "17")
    half = judged(capsys, model, "--lora", adapter, "--ngl", "17")
    assert half["bill"]["lora"] == half["bill"]["lora_host"] == whole // 2
    assert half["bill"]["total_gpu"] - alone["bill"]["total_gpu"] == whole // 2
    twice = judged(capsys, model, "--lora", adapter, "--lora", adapter)
    assert twice["bill"]["lora"] == 2 * whole


def test_every_layer_of_an_adapter_follows_its_tensor(tmp_path: Path, capsys: Captured) -> None:
    model = tmp_path / "small-F16.gguf"
    write_llama(model)
    changed = ("token_embd", "blk.0.attn_q", "blk.1.attn_q", "output")
    tensors = [
        Tensor(f"{name}.weight.lora_{half}", (64, 16) if half == "a" else (16, 64))
        for name in changed
        for half in "ab"
    ]
    pair = 2 * 64 * 16 * 2
    adapter = write_gguf(tmp_path / "small-lora.gguf", SAID, tensors)
    for layers, on_gpu in ((3, 3), (2, 2), (1, 1), (0, 0)):
        words = (str(model), "--ngl", str(layers))
        plain = judged(capsys, *words)["bill"]
        bill = judged(capsys, *words, "--lora", str(adapter))["bill"]
        assert (bill["lora"], bill["lora_host"]) == (on_gpu * pair, (4 - on_gpu) * pair)
        assert bill["total_gpu"] - plain["total_gpu"] == on_gpu * pair
        assert bill["total_host"] - plain["total_host"] == (4 - on_gpu) * pair


def test_the_page_has_both_and_the_command_that_loads_them(home: Path, capsys: Captured) -> None:
    model, adapter = str(home / "models" / "Middle-8B.gguf"), str(home / "models" / "lora.gguf")
    draft = str(home / "models" / "Small-1B.gguf")
    assert main(["fit", model, "--draft", draft, "--lora", adapter, *CARD]) == 0
    page = capsys.readouterr().out
    assert [line.split()[0] for line in page.splitlines() if "█" in line] == [
        *("weights", "KV", "compute", "draft", "adapters", "CUDA")
    ]
    assert f"--lora {adapter} --spec-type draft-simple --spec-draft-n-max 3" in page
    assert f"-md {draft} -ngld 999" in page


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--lora", "other.gguf"), "the adapter is for qwen2"),
        (("--draft", "mtp"), "has no blocks for multi-token prediction"),
        (("--draft", "Small-1B.gguf", "--engine", "ollama"), "ollama takes no draft model"),
    ],
)
def test_what_cannot_be_loaded_beside_it_is_said(
    home: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], why: str
) -> None:
    monkeypatch.chdir(home / "models")
    assert main(["fit", "Middle-8B.gguf", *words, *CARD]) == 3
    assert why in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--lora", "Small-1B.gguf"), "no adapter"),
        (("--lora", "gone.gguf"), "cannot be read"),
        (("--draft", "lora.gguf"), "holds no model"),
    ],
)
def test_what_is_no_draft_and_no_adapter_is_an_error(
    home: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], why: str
) -> None:
    monkeypatch.chdir(home / "models")
    assert main(["fit", "Middle-8B.gguf", *words, *CARD]) == 1
    assert why in " ".join(capsys.readouterr().err.split())


def test_what_does_not_fit_with_a_draft_may_fit_without(home: Path, capsys: Captured) -> None:
    model, draft = str(home / "models" / "Middle-8B.gguf"), str(home / "models" / "Small-1B.gguf")
    need = judged(capsys, model)["bill"]["total_gpu"] + 300 * MIB
    tight = ("--draft", draft, "--free", f"{need // MIB}MiB", "--ngl", "33")
    record = judged(capsys, model, *tight, code=3)
    assert record["verdict"] == "does-not-fit"
    assert any(text.startswith("without drafting: saves") for text in record["advice"])


@pytest.mark.real
def test_llama_cpp_sizes_the_model_and_its_draft(home: Path, capsys: Captured) -> None:
    models = home / "models"
    words = (str(models / "Middle-8B.gguf"), "--draft", str(models / "Small-1B.gguf"))
    for layers in ((), ("--ngl", "0")):
        formula = judged(capsys, *words, *layers)
        sized = judged(capsys, *words, *layers, "--dry-run")
        for term in ("draft", "draft_host", "weights_gpu", "weights_host", "kv"):
            by_formula = pytest.approx(formula["bill"][term], rel=0.05, abs=32 * MIB)
            assert sized["bill"][term] == by_formula
        assert sized["bill"] != formula["bill"]
        assert sized["source"] == ("engine" if layers else "closed-form")
    assert main(["fit", *words, *CARD, "--dry-run"]) == 0
    assert "llama.cpp sized it" in capsys.readouterr().err


@pytest.mark.real
def test_llama_cpp_sizes_a_model_with_an_adapter(home: Path, capsys: Captured) -> None:
    model, adapter = str(home / "models" / "Middle-8B.gguf"), str(home / "models" / "lora.gguf")
    sized = judged(capsys, model, "--lora", adapter, "--ngl", "0", "--dry-run")
    assert sized["source"] == "engine"
    assert sized["bill"]["lora_host"] == 32 * MIB


def test_a_draft_may_be_on_a_hub(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, draft = write_llama(tmp_path / "large.gguf"), write_llama(tmp_path / "small.gguf")
    words = (str(model), "--ctx", "64")
    local = judged(capsys, *words, "--draft", str(draft))
    served = repository("o/small", {"small.gguf": draft.read_bytes()}, commit="c" * 40)
    with serving(served) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        there = judged(capsys, *words, "--draft", "hf:o/small:small.gguf")
        sized = judged(capsys, *words, "--draft", "hf:o/small:small.gguf", "--dry-run")
        assert main(["fit", *words, "--draft", "hf:o/small:small.gguf", *CARD]) == 0
        page = capsys.readouterr().out
    assert there["bill"]["draft"] == local["bill"]["draft"] > 0
    assert sized["bill"]["draft"] == local["bill"]["draft"]
    assert "-md small.gguf" in page


@pytest.mark.real
def test_llama_cpp_is_asked_unasked_where_the_formula_is_rough(
    home: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(home / "models" / "Middle-8B.gguf")
    formula = judged(capsys, model)
    sized = judged(capsys, model, "--dry-run")

    def llama_alone(architecture: str, plan: Plan) -> bool:
        return architecture == "llama"

    with monkeypatch.context() as patch:
        patch.setattr(rough, "is_rough", llama_alone)
        assert judged(capsys, model) == sized != formula
        assert main(["fit", model, *CARD]) == 0
        assert "llama.cpp sized it" in capsys.readouterr().err
    large = ("--ubatch", "2048")
    assert judged(capsys, model, *large) == judged(capsys, model, *large, "--dry-run")
    assert judged(capsys, model) == formula


def test_what_is_rough_is_an_architecture_of_the_sweep() -> None:
    assert rough.is_rough("glm4moe", Plan())
    assert not rough.is_rough("llama", Plan())
    assert rough.is_rough("llama", Plan(micro_batch_tokens=1024))
    listed = tomllib.loads(Path(rough.__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    assert set(listed["architectures"]) <= set(WIDTHS)
