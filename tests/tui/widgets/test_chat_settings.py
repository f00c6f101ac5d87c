from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.widgets import Input

from modeldeck.engines.chat import Sampling
from modeldeck.tui.presets import load_presets, preset_like
from modeldeck.tui.widgets.chat_settings import ChatSettings, SamplingRow
from modeldeck.tui.widgets.sampling_fields import (
    FIELDS,
    Problem,
    SamplingField,
    parsed,
    sampling_of,
    texts_of,
)
from tests.support.chat_bench import ChatBench

BY_NAME = {field.name: field for field in FIELDS}


def changes(app: ChatBench) -> list[tuple[str, Sampling]]:
    return [
        (m.system_prompt, m.sampling) for m in app.seen if isinstance(m, ChatSettings.Changed)
    ]  # fmt: skip


async def test_a_value_typed_is_told_at_once() -> None:
    app = ChatBench()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("ctrl+t")
        await pilot.pause()
        await pilot.press("tab", "5", "down", "4", "0")
        await pilot.pause()
        assert changes(app)[-1] == ("You are terse.", Sampling(temperature=0.75, top_k=40))


async def test_the_system_prompt_is_text_of_several_lines() -> None:
    app = ChatBench()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("ctrl+t")
        await pilot.pause()
        await pilot.press("end", "enter", "h", "i")
        await pilot.pause()
        assert changes(app)[-1] == ("You are terse.\nhi", Sampling(temperature=0.7))


async def test_what_makes_no_sense_is_said_beside_it_and_not_told() -> None:
    app = ChatBench()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+t")
        await pilot.pause()
        await pilot.press("tab", "x")
        await pilot.pause()
        row = app.query(SamplingRow).first()
        assert row.has_class("-problem")
        assert str(row.message.content) == "✕ Not a number. Type 0 to 5."
        assert changes(app) == []
        await pilot.press("backspace", "backspace", "backspace", "backspace")
        await pilot.pause()
        assert not row.has_class("-problem")
        assert changes(app)[-1] == ("You are terse.", Sampling())


async def test_arrows_stay_inside_and_escape_closes() -> None:
    app = ChatBench()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("ctrl+t")
        await pilot.pause()
        await pilot.press("tab", *["down"] * 20)
        assert app.query(Input).last().has_focus
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.seen[-1], ChatSettings.Closed)
        assert app.prompt.has_focus


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", "", None),
        ("temperature", " 0.7 ", 0.7),
        ("temperature", "0,7", 0.7),
        ("temperature", "nan", Problem("Out of range.", "Type 0 to 5.")),
        ("temperature", "-1", Problem("Out of range.", "Type 0 to 5.")),
        ("top_k", "40", 40),
        ("top_k", "1.5", Problem("Not a whole number.", "Type 0 to 1000000.")),
        ("seed", "4294967295", 4294967295),
        ("seed", "4294967296", Problem("Out of range.", "Type 0 to 4294967295.")),
        ("max_tokens", "0", Problem("Out of range.", "Type 1 to 10000000.")),
    ],
)
def test_each_field_knows_its_values(name: str, text: str, value: object) -> None:
    field = next(field for field in FIELDS if field.name == name)
    assert parsed(field, text) == value


@given(st.sampled_from(FIELDS), st.text(max_size=12))
def test_any_text_is_a_value_in_range_or_a_problem_with_a_next_step(
    field: SamplingField, text: str
) -> None:
    value = parsed(field, text)
    if isinstance(value, Problem):
        assert value.cause
        assert value.next_step
    elif value is not None:
        assert field.low <= value <= field.high


def test_settings_survive_the_fields() -> None:
    sampling = Sampling(0.7, 40, 0.95, 0.05, 1.1, 42, 512)
    assert sampling_of(texts_of(sampling)) == sampling
    assert sampling_of(texts_of(Sampling())) == Sampling()
    assert sampling_of({"top_k": "x"}) is None


async def test_a_presets_name_fills_the_fields_and_the_fields_find_their_name() -> None:
    app = ChatBench()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("ctrl+t")
        await pilot.pause()
        panel = app.query_one(ChatSettings)
        assert panel.preset.field_input.value == ""
        await pilot.press(*["tab"] * (len(FIELDS) - 1), "7")
        await pilot.press("tab", "tab")
        await pilot.press(*"precise")
        await pilot.pause()
        assert changes(app)[-1][1] == Sampling(temperature=0.2, top_p=0.9, seed=7)
        values = {row.field.name: row.text for row in app.query(SamplingRow)}
        assert (values["temperature"], values["top_k"], values["seed"]) == ("0.2", "", "7")
        row = app.query(SamplingRow).first()
        row.field_input.focus()
        await pilot.press("end", "5")
        await pilot.pause()
        assert changes(app)[-1][1].temperature == 0.25
        assert panel.preset.field_input.value == ""
        await pilot.press("backspace")
        await pilot.pause()
        assert panel.preset.field_input.value == "precise"
        await pilot.press(*["tab"] * len(FIELDS))
        await pilot.press(*"creative")
        await pilot.pause()
        assert changes(app)[-1][1].temperature == 1.2, "typing replaces the name"
        assert "min p" in str(panel.preset.message.content)


def test_the_presets_are_samplings_that_the_fields_allow() -> None:
    presets = load_presets()
    assert len({preset.name for preset in presets}) == len(presets) >= 3
    for preset in presets:
        assert preset.hint
        assert sampling_of(texts_of(preset.sampling)) == preset.sampling
        assert preset_like(presets, preset.over(Sampling(seed=1, max_tokens=5))) == preset
