"""What a streamed answer costs on the line: the budget that keeps the deck usable over SSH."""

from __future__ import annotations

import re

import pytest

from modeldeck.tui.widgets.turn import Turn
from tests.support.bytes_sent import bytes_sent
from tests.support.chat_bench import ANSWER, QUESTION, ChatBench, tokens_of

BATCH = 5
"""Tokens in one drawing: 100 ms at 50 tokens per second."""


async def stream(app: ChatBench, monkeypatch: pytest.MonkeyPatch, before: list[Turn]) -> float:
    """Bytes per token of one answer on a truecolor terminal of 120 × 40."""
    tokens = tokens_of(ANSWER)
    with bytes_sent(monkeypatch) as sent:
        async with app.run_test(size=(120, 40)) as pilot:
            await app.transcript.show(before)
            answer = await app.transcript.answer("qwen3 14b")
            await pilot.pause()
            sent.reset()
            for start in range(0, len(tokens), BATCH):
                answer.append("".join(tokens[start : start + BATCH]))
                answer.draw()
                await pilot.pause()
            answer.finish()
            await pilot.pause()
            return sent.count / len(tokens)


async def test_an_answer_on_a_fresh_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    per_token = await stream(ChatBench(), monkeypatch, [])
    assert per_token < 350


async def test_an_answer_at_the_end_of_a_long_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    past = [Turn("user", QUESTION), Turn("assistant", ANSWER, "m")] * 3
    per_token = await stream(ChatBench(), monkeypatch, past)
    assert per_token < 650


async def test_steps_of_growth_make_it_cheap_on_a_slow_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    past = [Turn("user", QUESTION), Turn("assistant", ANSWER, "m")] * 3
    per_token = await stream(ChatBench(growth_rows=4), monkeypatch, past)
    assert per_token < 280


async def test_tokens_that_fit_the_line_repaint_only_that_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with bytes_sent(monkeypatch) as sent:
        app = ChatBench()
        async with app.run_test(size=(120, 40)) as pilot:
            answer = await app.transcript.answer("m")
            answer.append("The first words")
            answer.draw()
            await pilot.pause()
            sent.reset()
            answer.append(" and more")
            answer.draw()
            await pilot.pause()
            text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", sent.text).strip()
            assert text == "The first words and more"
            assert sent.count < 120


async def test_no_control_character_of_an_answer_reaches_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hostile = (
        "a\x1b]52;c;AAAA\x07b &#27;[31m \x9b31m \u202ec\n\n```\n\x1b[2J\n```\n| \x1b[H |\n|--|\n"
    )
    with bytes_sent(monkeypatch) as sent:
        app = ChatBench()
        async with app.run_test(size=(120, 40)) as pilot:
            await app.transcript.ask(hostile)
            answer = await app.transcript.answer(hostile)
            answer.append_reasoning(hostile)
            answer.append(hostile)
            answer.fail(hostile, hostile)
            answer.toggle_reasoning()
            await pilot.pause()
    # What Textual itself sends: styles, cursor moves, modes, the pointer's shape.
    own = r"\x1b\[[0-9;]*[mH]|\x1b\[\?[0-9]+[hl]|\x1b\]22;\w+\x07"
    harmless = re.sub(own, "", sent.text)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", harmless)
    assert "\x1b[2J" not in sent.text
