"""A user sees models of every format in one list, and what to do about those that cannot run."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from modeldeck.engines.fit.types import VerdictKind
from modeldeck.engines.scripted import ScriptedEngine
from modeldeck.engines.types import EngineInfo, ModelFormat
from modeldeck.tui.cli import main
from modeldeck.tui.commands import model_record, model_table
from modeldeck.tui.settings import Settings
from tests.support.decks import Deck, dense, open_deck
from tests.support.safetensors_files import LLAMA, write_folder

AWQ = {**LLAMA, "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}
EXL3 = {**LLAMA, "quantization_config": {"quant_method": "exl3", "bits": 4.25}}

FP8 = {**LLAMA, "quantization_config": {"quant_method": "fp8"}}


@pytest.fixture
def home(fresh_home: Path) -> Path:
    models = fresh_home / "models"
    models.mkdir()
    dense(models, "Small-3B", blocks=28, embedding=3072)
    write_folder(models / "Tiny-AWQ", config=AWQ, shards=2)
    write_folder(models / "Tiny-EXL3", config=EXL3)
    return fresh_home


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_a_folder_that_no_engine_reads_says_so_and_what_to_do(
    home: Path, size: tuple[int, int]
) -> None:
    async with open_deck(home, ScriptedEngine(), size=size) as deck:
        await deck.rest()
        await deck.see("✕ no AWQ engine")
        assert "✕ no EXL3 engine" in deck.text
        assert "4.25 bpw" in deck.text
        await deck.type("/awq")
        await deck.press("enter")
        await deck.see("cannot run here: no engine for AWQ")
        await deck.press("enter")
        await deck.see("Tiny-AWQ: No engine here runs AWQ.")
        notice = deck.app.state.notice
        assert notice is not None
        assert "serve its folder with vLLM" in notice.next_step
        assert deck.app.current_mode == "models"
        assert deck.app.state.loading is None


async def test_a_loaded_model_stays_when_another_cannot_run(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.type("/small")
        await deck.press("enter", "enter")
        await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
        await deck.press("escape", "1", "escape")
        await deck.type("/exl3")
        await deck.press("enter", "enter")
        await deck.see("No engine here runs EXL3")
        assert deck.app.state.loaded is not None


async def test_the_pane_shows_the_format_and_the_quantisation_in_full(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.type("/exl3")
        await deck.see("EXL3 4.25 bpw")
        await deck.see("ExLlamaV3")


async def test_the_command_line_tells_the_same(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        models, verdicts = deck.app.state.models, deck.app.state.verdicts
        text = model_table(models, verdicts, columns=None)
        records = [model_record(model, verdicts.get(model.id)) for model in models]
    assert "cannot run here: no engine for AWQ" in text
    awq = next(record for record in records if record["name"] == "Tiny-AWQ")
    assert awq["format"] == "awq"
    assert awq["quantisation"] == "AWQ 4-bit"
    assert awq["verdict"] == VerdictKind.CANNOT_RUN


def test_ls_lists_folders_with_their_format(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = home / "settings.toml"
    settings.write_text('model_dirs = ["~/models"]\n', encoding="utf-8")
    assert main(["ls", "--json", "--config", str(settings)]) == 0
    records = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (records["Tiny-AWQ"]["format"], records["Tiny-AWQ"]["verdict"]) == ("awq", "cannot-run")
    assert records["Small-3B"]["format"] == "gguf"


def test_to_chat_with_one_fails_with_the_next_step(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", "-m", str(home / "models" / "Tiny-EXL3"), "hello"]) == 1
    told = capsys.readouterr().err
    assert "No engine here runs EXL3." in told
    assert "pip install exllamav3" in told


def test_fit_judges_a_folder_for_the_engine_that_would_run_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", str(home / "models" / "Tiny-EXL3"), "--json"]) in (0, 3)
    out, err = capsys.readouterr()
    (record,) = json.loads(out)
    assert (record["engine"], record["problem"]) == ("exllamav3", None)
    assert record["verdict"] in ("fits", "cannot-run", "does-not-fit")
    assert "No engine here runs EXL3. Judged all the same." in err


def test_layers_are_no_option_of_an_engine_that_has_them_all_on_the_gpu(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(home / "models" / "Tiny-AWQ")
    assert main(["fit", folder, "--ngl", "1", "--json"]) == 3
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["verdict"], record["bill"]) == ("cannot-run", None)


class Serving(ScriptedEngine):
    """vLLM or ExLlamaV3, by its name, as far as a list is concerned."""

    @property
    def info(self) -> EngineInfo:
        made = super().info
        own = ModelFormat.FP8 if made.name == "vllm" else ModelFormat.EXL3
        return made._replace(formats=frozenset({ModelFormat.GGUF, own}))


def serving() -> tuple[Serving, Serving]:
    return Serving(name="vllm"), Serving(name="exllamav3")


def judged_for(deck: Deck, card: str) -> bool:
    """The verdicts shown are for that card."""
    now = deck.app.state.card
    return now is not None and now.name.startswith(card)


async def test_another_card_changes_which_formats_run(home: Path) -> None:
    write_folder(home / "models" / "Tiny-FP8", config=FP8)
    async with open_deck(home, *serving()) as deck:
        await deck.rest()
        assert "✕ no AWQ engine" in deck.text
        await deck.type("/tiny-")
        await deck.press("enter")
        for card, fp8, exl3 in (
            ("RTX 3060 12GB", "weight-only, by Marlin", ""),
            ("RTX 4090", "", ""),
            ("RTX 2080 Ti", "weight-only, by Marlin", "need compute capability 8.0"),
            ("GTX 1080", "compute capability 7.5", "compute capability 8.0"),
        ):
            await deck.press("v")
            await deck.see("verdicts for")
            await deck.type(card)
            await deck.press("enter")
            await deck.until(partial(judged_for, deck, card), card)
            verdicts = {Path(key).name: verdict for key, verdict in deck.app.state.verdicts.items()}
            assert fp8 in verdicts["Tiny-FP8"].reason
            assert exl3 in verdicts["Tiny-EXL3"].reason
            assert (verdicts["Tiny-EXL3"].kind is VerdictKind.CANNOT_RUN) is bool(exl3)


async def test_only_runnable_here_leaves_out_what_the_card_is_too_old_for(home: Path) -> None:
    settings = Settings(model_dirs=(home / "models",), gpu="RTX 2080 Ti")
    write_folder(home / "models" / "Tiny-FP8", config=FP8)
    async with open_deck(home, *serving(), settings=settings) as deck:
        await deck.rest()
        await deck.press("f", "f", "f")
        await deck.see("only runnable here")
        rows = [line[:45] for line in deck.text.splitlines()]
        assert any("FP8" in row for row in rows)
        assert not any("bpw" in row or "AWQ" in row for row in rows)
