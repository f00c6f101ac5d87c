from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.content import Content

from modeldeck.engines.fit.types import Card
from modeldeck.engines.units import GIB
from modeldeck.tui.widgets.model_detail import (
    Detail,
    closed_up,
    detail_lines,
    parameters_text,
    short_lines,
)
from tests.support.bytes_sent import bytes_sent
from tests.support.model_bench import ModelBench, detail_of, known_entries
from tests.support.screens import ScreenCheck, screen_text

KNOWN = [detail_of(entry) for entry in known_entries()]


def text(detail: Detail, width: int = 38) -> list[str]:
    return [line.plain.rstrip() for line in detail_lines(detail, width)]


def test_a_loaded_model_in_full() -> None:
    assert text(KNOWN[1]) == [
        "Qwen3-14B  Q4_K_M",
        "qwen3  14.8 B  40 blocks  ctx 40k",
        "",
        "██████████████████████████▓▓▓▓▓▓▓▓▒░╌·",
        "█ weights        7.97  +0.41 RAM",
        "▓ kv cache       2.50  16k f16",
        "▒ compute        0.15",
        "░ cuda context   0.25  assumed",
        "╱ in use         0.09  by others now",
        "╌ margin         0.25",
        "· free           0.42  of 11.63 GiB",
        "",
        "● fits: 10.9 of 11.5 GiB with 16k",
        "context",
        "the engine's own dry run, on RTX 3060",
        "",
        "~34 tok/s  predicted, 28 to 40",
        "19k context at most",
        "▶ loaded in llama_server",
        "on CUDA0, context 16k f16, took 4.2 s",
        "",
        "/models/Qwen3-14B-Q4_K_M.gguf",
    ]


def test_a_measured_rate_says_so() -> None:
    assert "52.8 tok/s  measured here" in text(KNOWN[0])


def test_a_broken_file_says_what_is_wrong_and_where_it_is() -> None:
    lines = " ".join(text(KNOWN[9]))
    assert "✕ The file ends inside its header: 12 of 4096 bytes are missing." in lines
    assert "/models/[red]broken[/red] [/].gguf" in lines
    assert "tok/s" not in lines


def test_without_a_gpu_the_assumed_card_is_named() -> None:
    card = Card("RTX 3060 12GB", 11 * GIB, 11 * GIB, what_if=True, ram_bytes=GIB)
    lines = text(replace(KNOWN[1], card=card))
    assert "what if: RTX 3060 12GB" in " ".join(lines)
    assert "RTX 3060 12GB" in short_lines(replace(KNOWN[1], card=card), 80)[0].plain


def test_before_the_verdict_the_file_speaks_for_itself() -> None:
    lines = text(KNOWN[8])
    assert lines[0] == "通义千问-三十亿-e\u0301te\u0301-한국어  Q8_0"
    assert "… judging" in lines


def test_a_hostile_path_is_shown_as_text() -> None:
    model = KNOWN[0].model._replace(path=Path("/models/\x1b]0;pwned\x07\u202e.gguf"))
    assert text(replace(KNOWN[0], model=model))[-1] == "/models/]0;pwned.gguf"


def test_empty_lines_go_where_there_is_no_room_for_them() -> None:
    lines = [Content(text) for text in ("a", "", "b", "", "c")]

    def left(height: int) -> str:
        return "".join(line.plain or "_" for line in closed_up(lines, height))

    assert [left(height) for height in (9, 5, 4, 3, 2)] == ["a_b_c", "a_b_c", "a_bc", "abc", "abc"]


def test_two_lines_where_there_is_no_room() -> None:
    bar, verdict = (line.plain for line in short_lines(KNOWN[1], 80))
    assert bar.startswith(" ███")
    assert bar.endswith("10.9 of 11.6 GiB + 0.41 RAM")
    assert verdict == " ● fits: 10.9 of 11.5 GiB with 16k context  ▶ loaded"


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [(0, "0"), (557_000, "557 k"), (135e6, "135 M"), (14.8e9, "14.8 B"), (671e9, "671 B")],
)
def test_parameters_as_people_say_them(parameters: float, shown: str) -> None:
    assert parameters_text(int(parameters)) == shown


@given(st.sampled_from(KNOWN), st.integers(1, 120))
def test_no_line_sticks_out(detail: Detail, width: int) -> None:
    assert all(line.cell_length <= width for line in detail_lines(detail, width))
    short = short_lines(detail, width)
    assert len(short) == 2
    assert all(line.cell_length <= max(width, 1) for line in short)


async def test_walking_through_the_list_costs_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    with bytes_sent(monkeypatch) as sent:
        app = ModelBench(known_entries())
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.pause()
            app.rows.display = False
            for detail in (*KNOWN, *reversed(KNOWN)):
                await pilot.pause()
                sent.reset()
                app.detail.show(detail)
                await pilot.pause()
                assert sent.count <= 2500
            sent.reset()
            app.detail.show(detail_of(known_entries()[0]))
            await pilot.pause()
            assert sent.count == 0


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
async def test_the_list_and_the_pane_look_as_they_did(
    same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    app = ModelBench(known_entries())
    async with app.run_test(size=size) as pilot:
        await pilot.press("down")
        for _ in range(3):
            await pilot.pause()
        assert "▌▶ Qwen3-14B" in screen_text(app)
        same_screen(pilot)
